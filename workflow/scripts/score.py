from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.io.files import sha256
    from variability.stages.score import score

    given, manifest = snakemake.input, Path(snakemake.output[0])
    predictions, metrics = [Path(block) for block in given.predictions], snakemake.params.metrics
    score(predictions, Path(given.task), metrics, sha256(given.code), manifest.parent, manifest)
