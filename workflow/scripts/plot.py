from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.plot import plot

    paths = [*snakemake.input.tables, *snakemake.input.get("analyses", [])]
    tables = {Path(path).stem: Path(path) for path in paths}
    options, output = snakemake.params.options, snakemake.output
    plot(snakemake.wildcards.plot, tables, options, snakemake.params.study, Path(output.svg), Path(output.png))
