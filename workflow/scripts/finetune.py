from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.files import read_json, sha256
    from variability.runs import Workplace
    from variability.stages.finetune import finetune
    from variability.stages.predict import predict_ahead

    given, spec, params = snakemake.input, snakemake.params.spec, snakemake.params
    task, weights, manifest = Path(given.task), given.get("weights"), Path(snakemake.output.manifest)
    weights_sha256 = read_json(given.weights_manifest)["sha256"] if weights else None
    features, before = (Path(found[0]) if found else None for found in (given.features, given.features_before))
    with Workplace(params.threads) as here:
        finetune(spec, task, weights, weights_sha256, features, sha256(given.code), manifest.parent, manifest, here)
        predict_ahead(spec, task, weights, before, manifest, Path(params.predictions), here)
