from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.io.files import sha256
    from variability.stages.pretrain import pretrain
    from variability.training.input_files import Sources

    given, params = snakemake.input, snakemake.params
    outputs = [Path(snakemake.output[name]) for name in ("weights", "manifest", "history")]
    pretrain(params.spec, Sources.of(given), sha256(given.code), *outputs, params.threads)
