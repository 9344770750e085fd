from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.stages.summarise import summarise

    rule_input, output = snakemake.input, snakemake.output
    tables = [*rule_input.tables, rule_input.claims]
    paths = Path(output.markdown), Path(output.answer), Path(output.page)
    summarise(snakemake.params.spec["study"], rule_input.runs, tables, *paths, rule_input.tasks)
