from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.verify import Jobs, verify

    params = snakemake.params
    jobs = Jobs([Path(path) for path in params.specs], params.base_tables, params.imports, params.in_braces)
    verify(Path(params.folder), params.runs, seed=0, jobs=jobs)
