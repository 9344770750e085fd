from datetime import UTC

from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from datetime import datetime
    from pathlib import Path

    from variability.stages.record import record

    rule_input = snakemake.input
    paths = {name: [Path(path) for path in rule_input[name]] for name in ("files", "outside", "listings")}
    folder, now = Path(snakemake.output.crate).parent, datetime.now(UTC).isoformat(timespec="seconds")
    record(snakemake.params.spec["study"], snakemake.config, **paths, folder=folder, now=now)
