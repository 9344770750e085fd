from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    import os
    from pathlib import Path

    from variability.io.fetcher import Fetcher
    from variability.io.mirrors import mirrors_from
    from variability.stages.download_weights import download_weights

    mirrors = mirrors_from(snakemake.config.get("mirrors"), os.environ)
    rule_input, manifest = snakemake.input, Path(snakemake.output.manifest)
    target, assets = Path(snakemake.output.weights), Path(rule_input.assets) if rule_input.get("assets") else None
    # Outside this job's outputs, which are deleted before it runs again: files that were fetched are reused then.
    with Fetcher(mirrors, cache=manifest.parents[1] / "cache", **(snakemake.config.get("downloads") or {})) as fetcher:
        hashes = Path("results", "contents")
        download_weights(snakemake.params.spec, target, manifest, fetcher, mirrors, assets, hashes)
