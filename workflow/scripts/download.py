from variability.journal import journal

with journal(snakemake.log[0]):
    import os
    from pathlib import Path

    from variability.fetching import Fetcher
    from variability.mirrors import mirrors_from
    from variability.stages.download import download

    spec, manifest = snakemake.params.spec, Path(snakemake.output.manifest)
    mirrors = mirrors_from(snakemake.config.get("mirrors", []), os.environ)
    # What an interrupted download has fetched so far waits there for the next job.
    fetcher = Fetcher(mirrors, cache=manifest.parents[2] / "partial")
    download(spec["dataset"], spec["options"], manifest.parent / "files", manifest, fetcher)
