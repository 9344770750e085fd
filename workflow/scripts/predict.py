from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]) as interruption, recorded(snakemake):
    interruption.end_with_snakemake()
    from pathlib import Path

    from variability.io.files import sha256
    from variability.stages.predict import predict
    from variability.training.input_files import InputFiles
    from variability.training.workplace import Workplace

    spec, rule_input, manifest = snakemake.params.spec, snakemake.input, Path(snakemake.output[0])
    files, code = InputFiles.from_rule(rule_input), sha256(rule_input.code)
    with Workplace(spec["model"], spec["threads"], snakemake.resources.runs_per_gpu) as workplace:
        predict(spec, files, Path(rule_input.runs), code, manifest.parent, manifest, workplace)
