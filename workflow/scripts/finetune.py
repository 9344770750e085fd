from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.files import read_json
    from variability.stages.finetune import finetune

    weights, about = snakemake.input.get("weights"), snakemake.input.get("weights_manifest")
    manifest = Path(snakemake.output.manifest)
    finetune(
        snakemake.params.spec,
        task_json=Path(snakemake.input.task),
        weights=Path(weights) if weights else None,
        weights_sha256=read_json(about)["sha256"] if about else None,
        code=snakemake.input.code,
        folder=manifest.parent,
        manifest=manifest,
        threads=snakemake.params.threads,
    )
