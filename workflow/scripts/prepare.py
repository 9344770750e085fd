from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.stages.prepare import prepare

    source = Path(snakemake.input.manifest).parent / "files" if snakemake.input.get("manifest") else None
    prepare(snakemake.params.spec, source, Path(snakemake.output.task).parent, snakemake.threads)
