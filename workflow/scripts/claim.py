from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.claim import claim

    params, output = snakemake.params, snakemake.output
    tables = {Path(table).stem: Path(table) for table in snakemake.input.tables}
    claim(params.study, params.chosen, tables, Path(output.csv), Path(output.markdown), Path(output.page))
