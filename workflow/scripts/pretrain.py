from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.files import sha256
    from variability.stages.pretrain import pretrain

    spec = snakemake.params.spec
    pretrain(
        spec["model"],
        spec["recipe"],
        task_json=Path(snakemake.input.task),
        seed=spec["seed"],
        code=sha256(snakemake.input.code),
        target=Path(snakemake.output.weights),
        manifest=Path(snakemake.output.manifest),
        history=Path(snakemake.output.history),
        threads=snakemake.params.threads,
    )
