from variability.job_log import log_job

with log_job(snakemake.log[0]):
    from pathlib import Path

    from variability.stages.report import report

    snakefile = Path(snakemake.scriptdir).resolve().parents[1] / "Snakefile"
    report(snakemake.config, snakefile, snakemake.params.targets, Path(snakemake.output[0]))
