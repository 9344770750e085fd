from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.features import features

    given, output = snakemake.input, snakemake.output
    activations, manifest = Path(output.activations), Path(output.manifest)
    features(
        snakemake.params.spec, Path(given.task), Path(given.weights), activations, manifest, snakemake.params.threads
    )
