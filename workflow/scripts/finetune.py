from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability import files, runs
    from variability.stages.finetune import finetune
    from variability.stages.predict import predict_ahead

    given, params, manifest = snakemake.input, snakemake.params, Path(snakemake.output.manifest)
    task, weights, about = Path(given.task), given.get("weights"), given.get("weights_manifest")
    features, before = (Path(found[0]) if found else None for found in (given.features, given.features_before))
    with runs.Workplace(params.threads) as here:
        code = files.sha256(given.code)
        finetune(params.spec, task, weights, about, features, code, manifest.parent, manifest, here)
        predict_ahead(params.spec, task, weights, before, manifest, Path(params.predictions), here)
