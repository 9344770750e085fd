from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]) as interruption, recorded(snakemake):
    interruption.end_with_snakemake()
    from pathlib import Path

    from variability.io.files import sha256
    from variability.training.input_files import InputFiles
    from variability.training.prediction_files import list_if_current

    spec, rule_input, manifest = snakemake.params.spec, snakemake.input, Path(snakemake.output[0])
    files, finetuned, code = InputFiles.from_rule(rule_input), Path(rule_input.runs), sha256(rule_input.code)
    if not list_if_current(spec, files, finetuned, code, manifest):
        from variability.io import without_pandas

        without_pandas.import_pyarrow()
        from variability.stages.predict import predict
        from variability.training.workplace import Workplace

        with Workplace(spec["model"], spec["threads"], snakemake.resources.runs_per_gpu) as workplace:
            predict(spec, files, finetuned, code, manifest.parent, manifest, workplace)
