from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.files import sha256
    from variability.stages.predict import predict

    given, spec, threads = snakemake.input, snakemake.params.spec, snakemake.params.threads
    task, weights, runs, manifest = Path(given.task), given.get("weights"), Path(given.runs), Path(snakemake.output[0])
    features = Path(given.features[0]) if given.features else None
    predict(spec, task, weights, features, runs.parent, runs, sha256(given.code), manifest.parent, manifest, threads)
