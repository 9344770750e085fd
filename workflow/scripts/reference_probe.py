from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.io import without_pandas

    without_pandas.import_pyarrow()
    from variability.io.files import sha256
    from variability.stages.reference_probe import reference_probe

    rule_input = snakemake.input
    tasks = {Path(path).parent.name: Path(path) for path in rule_input.tasks}
    features = [Path(path) for path in rule_input.features]
    reference_probe(snakemake.params.spec, tasks, features, sha256(rule_input.code), Path(snakemake.output[0]))
