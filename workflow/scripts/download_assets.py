from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    import os
    from pathlib import Path

    from variability.io.fetcher import Fetcher
    from variability.io.mirrors import mirrors_from
    from variability.stages.download_assets import download_assets

    manifest = Path(snakemake.output.manifest)
    mirrors = mirrors_from(snakemake.config.get("mirrors"), os.environ)
    # Outside this job's outputs, which are deleted before it runs again: files that were fetched are reused then.
    with Fetcher(mirrors, cache=manifest.parents[2] / "cache", **(snakemake.config.get("downloads") or {})) as fetcher:
        download_assets(snakemake.params.spec, manifest.parent / "files", manifest, fetcher)
