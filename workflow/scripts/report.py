from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.stages.report import report

    snakefile = Path(snakemake.scriptdir).resolve().parents[1] / "Snakefile"
    spec, storage = snakemake.params.spec, snakemake.params.storage
    report(snakemake.config, snakefile, spec["targets"], Path(snakemake.output[0]), storage)
