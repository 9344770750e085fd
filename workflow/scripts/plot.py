from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.plot import plot

    tables = {name: Path(snakemake.input[name]) for name in ("runs", "per_class", "history")}
    tables |= {Path(table).stem: Path(table) for table in snakemake.input.get("analyses", [])}
    options, output = snakemake.params.options, snakemake.output
    plot(snakemake.wildcards.plot, tables, options, snakemake.params.study, Path(output.svg), Path(output.png))
