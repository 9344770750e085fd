from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.stages.tokenize import tokenize

    task, assets = Path(snakemake.input.task), Path(snakemake.input.assets)
    tokens, manifest = Path(snakemake.output.tokens), Path(snakemake.output.manifest)
    tokenize(snakemake.params.spec, task, assets, tokens, manifest)
