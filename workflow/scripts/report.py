from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.report import write_report, write_summary

    summary, html = Path(snakemake.output.summary), Path(snakemake.output.html)
    write_summary(snakemake.params.study, snakemake.input.runs, snakemake.input.tables, summary)
    snakefile = Path(snakemake.scriptdir).resolve().parents[1] / "Snakefile"
    write_report(snakemake.config, snakefile, ["figures", "tables"], html)
