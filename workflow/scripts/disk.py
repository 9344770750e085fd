from variability.job_log import log_job

with log_job(snakemake.log[0]):
    import sys
    from pathlib import Path

    from variability.stages.disk import disk

    print(disk(Path(snakemake.params.results), Path(snakemake.params.downloads)), file=sys.stderr)
