from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.tokenize import tokenize

    given, output = snakemake.input, snakemake.output
    tokenize(snakemake.params.spec, Path(given.task), Path(given.assets), Path(output.tokens), Path(output.manifest))
