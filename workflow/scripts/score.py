from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.io.files import sha256
    from variability.stages.score import score

    rule_input, manifest = snakemake.input, Path(snakemake.output[0])
    predictions, metrics = [Path(path) for path in rule_input.predictions], snakemake.params.metrics
    score(predictions, Path(rule_input.task), metrics, sha256(rule_input.code), manifest.parent, manifest)
