from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]) as interruption, recorded(snakemake):
    interruption.end_with_snakemake()
    from pathlib import Path

    from variability.io import without_pandas

    without_pandas.import_pyarrow()
    from variability.io.files import sha256
    from variability.stages.finetune import finetune
    from variability.stages.predict import predict_ahead
    from variability.training.input_files import InputFiles
    from variability.training.saving import Saving
    from variability.training.workplace import Workplace

    spec, rule_input, resources = snakemake.params.spec, snakemake.input, snakemake.resources
    manifest = Path(snakemake.output.manifest)
    predictions = manifest.parents[4].joinpath("predict", *manifest.parent.parts[-3:])
    with Workplace(spec["model"], spec["threads"], resources.runs_per_gpu, spec["recipe"]["gpus_per_run"]) as workplace:
        saving = Saving(resources.save_every, should_stop=interruption.should_stop, postponed=interruption.postponed)
        finetune(spec, InputFiles.from_rule(rule_input), sha256(rule_input.code), manifest, workplace, saving)
        interruption.stop_if_requested()
        files, code = InputFiles.from_rule(rule_input, "features_before"), sha256(rule_input.predict_code)
        predict_ahead(spec, files, manifest, code, predictions, workplace)
