from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability import single_thread

    single_thread.limit()
    from variability.stages.analyse import analyse_all

    rule_input, chosen = snakemake.input, snakemake.params.spec["options"]
    code = {name: Path(path) for name, path in zip(chosen, rule_input.code, strict=True)}
    tables = {Path(table).stem: Path(table) for table in rule_input.tables}
    manifest, predictions = Path(rule_input.manifest), [Path(path) for path in rule_input.predictions]
    analyse_all(chosen, code, manifest, tables, predictions, Path(snakemake.output.manifest).parent, snakemake.threads)
