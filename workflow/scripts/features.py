from variability.job_log import log_job

with log_job(snakemake.log[0]) as interruption:
    interruption.end_with_snakemake()
    from pathlib import Path

    from variability.stages.features import features
    from variability.training.input_files import InputFiles

    params, output = snakemake.params, snakemake.output
    activations, manifest = Path(output.activations), Path(output.manifest)
    runs_per_gpu = snakemake.resources.runs_per_gpu
    features(params.spec, InputFiles.from_rule(snakemake.input), activations, manifest, params.threads, runs_per_gpu)
