from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.stages.keep_checkpoints import keep_checkpoints

    keep_checkpoints(
        keep=snakemake.params.spec["keep"],
        runs=Path(snakemake.input.runs),
        manifests=[Path(path) for path in snakemake.input.manifests],
        output=Path(snakemake.output[0]),
    )
