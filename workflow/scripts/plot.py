from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability import single_thread

    single_thread.limit()
    from variability.stages.plot import plot_all

    rule_input, chosen = snakemake.input, snakemake.params.spec["options"]
    code = {name: Path(path) for name, path in zip(chosen, rule_input.code, strict=True)}
    tables = {Path(path).stem: Path(path) for path in (*rule_input.tables, *rule_input.analyses)}
    manifest, folder = Path(rule_input.manifest), Path(snakemake.output[0]).parent
    spec = snakemake.params.spec
    plot_all(chosen, code, manifest, tables, spec["study"], folder, snakemake.threads, spec["figures"])
