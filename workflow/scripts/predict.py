from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.files import sha256
    from variability.runs import Workplace
    from variability.sources import Sources
    from variability.stages.predict import predict

    given, spec, manifest = snakemake.input, snakemake.params.spec, Path(snakemake.output[0])
    runs = Path(given.runs)
    with Workplace(spec["model"], snakemake.params.threads) as here:
        predict(spec, Sources.of(given), runs.parent, runs, sha256(given.code), manifest.parent, manifest, here)
