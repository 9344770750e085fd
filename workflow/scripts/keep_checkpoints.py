from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.keep_checkpoints import keep_checkpoints

    runs, manifests = Path(snakemake.input.runs), [Path(path) for path in snakemake.input.manifests]
    keep_checkpoints(snakemake.params.keep, runs, manifests, Path(snakemake.output[0]))
