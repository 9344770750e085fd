from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.summarise import summarise

    given, output = snakemake.input, snakemake.output
    tables = [*given.tables, given.claims]
    summarise(snakemake.params.study, given.runs, tables, Path(output.markdown), Path(output.page))
