from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]) as interruption, recorded(snakemake):
    interruption.end_with_snakemake()
    from pathlib import Path

    from variability.io import without_pandas

    without_pandas.import_pyarrow()
    from variability.stages.features import features
    from variability.training.input_files import InputFiles

    spec, output = snakemake.params.spec, snakemake.output
    activations, manifest = Path(output.activations), Path(output.manifest)
    runs_per_gpu = snakemake.resources.runs_per_gpu
    features(spec, InputFiles.from_rule(snakemake.input), activations, manifest, spec["threads"], runs_per_gpu)
