from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.files import sha256
    from variability.runs import Workplace
    from variability.stages.predict import predict

    given, spec, manifest = snakemake.input, snakemake.params.spec, Path(snakemake.output[0])
    task, weights, runs = Path(given.task), given.get("weights"), Path(given.runs)
    features = Path(given.features[0]) if given.features else None
    with Workplace(snakemake.params.threads) as here:
        predict(spec, task, weights, features, runs.parent, runs, sha256(given.code), manifest.parent, manifest, here)
