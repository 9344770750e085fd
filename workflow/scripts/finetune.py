from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability import files, runs
    from variability.sources import Sources
    from variability.stages.finetune import finetune
    from variability.stages.predict import predict_ahead

    given, params, manifest = snakemake.input, snakemake.params, Path(snakemake.output.manifest)
    with runs.Workplace(params.spec["model"], params.threads) as here:
        code = files.sha256(given.code)
        finetune(params.spec, Sources.of(given), code, manifest.parent, manifest, here)
        predict_ahead(params.spec, Sources.of(given, "features_before"), manifest, Path(params.predictions), here)
