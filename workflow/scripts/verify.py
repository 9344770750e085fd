from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.verify import verify

    verify(Path(snakemake.params.folder), snakemake.params.runs, seed=0)
