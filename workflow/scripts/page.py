from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.stages.page import page

    rule_input = snakemake.input
    tables = [*rule_input.tables, rule_input.claims]
    predictions, tasks = rule_input.predictions, rule_input.tasks
    page(snakemake.params.spec, rule_input.base, tables, Path(snakemake.output[0]), predictions, tasks)
