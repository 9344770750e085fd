from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.analyse import analyse

    tables = {name: Path(snakemake.input[name]) for name in ("runs", "per_class", "history")}
    analyse(snakemake.wildcards.analysis, tables, snakemake.params.options, Path(snakemake.output[0]))
