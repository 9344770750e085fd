from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.plot import plot

    given = [*snakemake.input.tables, *snakemake.input.get("analyses", [])]
    tables = {Path(table).stem: Path(table) for table in given}
    options, output = snakemake.params.options, snakemake.output
    plot(snakemake.wildcards.plot, tables, options, snakemake.params.study, Path(output.svg), Path(output.png))
