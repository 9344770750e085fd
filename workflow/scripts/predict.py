from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]) as interruption, recorded(snakemake):
    interruption.end_with_snakemake()
    from pathlib import Path

    from variability.io.files import sha256
    from variability.stages.predict import list_or_predict
    from variability.training.input_files import InputFiles

    spec, rule_input, runs_per_gpu = snakemake.params.spec, snakemake.input, snakemake.resources.runs_per_gpu
    files, finetuned, code = InputFiles.from_rule(rule_input), Path(rule_input.runs), sha256(rule_input.code)
    list_or_predict(spec, files, finetuned, code, Path(snakemake.output[0]), runs_per_gpu)
