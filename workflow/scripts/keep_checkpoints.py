from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.keep_checkpoints import keep_checkpoints

    given, manifests = snakemake.input, [Path(block) for block in snakemake.input.manifests]
    keep_checkpoints(snakemake.params.keep, Path(given.runs), manifests, Path(snakemake.output[0]))
