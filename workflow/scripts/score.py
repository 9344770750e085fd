from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.io.files import sha256
    from variability.stages.score import score

    manifest = Path(snakemake.output[0])
    score(
        manifests=[Path(path) for path in snakemake.input.predictions],
        task_json=Path(snakemake.input.task),
        metrics=snakemake.params.metrics,
        code=sha256(snakemake.input.code),
        folder=manifest.parent,
        manifest=manifest,
    )
