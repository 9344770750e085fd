from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]), recorded(snakemake):
    from pathlib import Path

    from variability.results.imported_files import by_import
    from variability.stages.aggregate import aggregate

    aggregate(
        scores=snakemake.input.scores,
        manifests=snakemake.input.runs,
        spec=snakemake.params.spec,
        folder=Path(snakemake.output.runs).parent,
        probes=[Path(path) for path in snakemake.input.probes],
        imported=by_import(snakemake.params.spec["imports"], snakemake.input.imports, snakemake.params.in_braces),
    )
