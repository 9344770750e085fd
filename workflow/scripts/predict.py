from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.io.files import sha256
    from variability.stages._blocks import Workplace
    from variability.stages.predict import predict
    from variability.training.input_files import Sources

    given, spec, manifest = snakemake.input, snakemake.params.spec, Path(snakemake.output[0])
    runs = Path(given.runs)
    with Workplace(spec["model"], snakemake.params.threads) as here:
        predict(spec, Sources.of(given), runs.parent, runs, sha256(given.code), manifest.parent, manifest, here)
