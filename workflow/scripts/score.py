from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.score import score

    score(
        [Path(manifest) for manifest in snakemake.input.predictions],
        task_json=Path(snakemake.input.task),
        metrics=snakemake.params.metrics,
        target=Path(snakemake.output[0]),
    )
