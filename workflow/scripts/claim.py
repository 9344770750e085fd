from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.stages.claim import claim

    spec, output = snakemake.params.spec, snakemake.output
    tables = {Path(table).stem: Path(table) for table in snakemake.input.tables}
    claim(spec["study"], spec["chosen"], tables, Path(output.csv), Path(output.markdown), Path(output.page))
