from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.io import files
    from variability.stages import _blocks
    from variability.stages.finetune import finetune
    from variability.stages.predict import predict_ahead
    from variability.training.input_files import Sources

    given, params, manifest = snakemake.input, snakemake.params, Path(snakemake.output.manifest)
    with _blocks.Workplace(params.spec["model"], params.threads) as here:
        code = files.sha256(given.code)
        finetune(params.spec, Sources.of(given), code, manifest.parent, manifest, here)
        predict_ahead(params.spec, Sources.of(given, "features_before"), manifest, Path(params.predictions), here)
