from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.summarise import summarise

    given, output = snakemake.input, snakemake.output
    summarise(snakemake.params.study, given.runs, given.tables, Path(output.markdown), Path(output.page))
