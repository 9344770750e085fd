from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.files import sha256
    from variability.sources import Sources
    from variability.stages.pretrain import pretrain

    given, params = snakemake.input, snakemake.params
    outputs = [Path(snakemake.output[name]) for name in ("weights", "manifest", "history")]
    pretrain(params.spec, Sources.of(given), sha256(given.code), *outputs, params.threads)
