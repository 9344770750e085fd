from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.analyse import analyse

    tables = {Path(table).stem: Path(table) for table in snakemake.input.tables}
    options, predictions = snakemake.params.options, snakemake.input.predictions
    analyse(snakemake.wildcards.analysis, tables, options, Path(snakemake.output[0]), predictions)
