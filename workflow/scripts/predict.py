from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.predict import predict

    weights, runs = snakemake.input.get("weights"), Path(snakemake.input.runs)
    manifest = Path(snakemake.output.manifest)
    predict(
        snakemake.params.spec,
        task_json=Path(snakemake.input.task),
        weights=Path(weights) if weights else None,
        finetune_folder=runs.parent,
        manifest_in=runs,
        code=snakemake.input.code,
        folder=manifest.parent,
        manifest=manifest,
        threads=snakemake.params.threads,
    )
