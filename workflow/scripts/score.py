from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.io import without_pandas

    without_pandas.import_pyarrow()
    from variability.io.files import sha256
    from variability.stages.score import score

    rule_input, manifest = snakemake.input, Path(snakemake.output[0])
    predictions, code = [Path(path) for path in rule_input.predictions], sha256(rule_input.code)
    score(predictions, Path(rule_input.task), snakemake.params.spec["metrics"], code, manifest.parent, manifest)
