from variability.journal import journal

with journal(snakemake.log[0]):
    from pathlib import Path

    from variability.files import sha256
    from variability.stages.pretrain import pretrain

    spec, code, threads = snakemake.params.spec, sha256(snakemake.input.code), snakemake.params.threads
    outputs = [Path(snakemake.output[name]) for name in ("weights", "manifest", "history")]
    pretrain(spec["model"], spec["recipe"], Path(snakemake.input.task), spec["seed"], code, *outputs, threads)
