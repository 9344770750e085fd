from variability.io.job_records import recorded
from variability.job_log import log_job

with log_job(snakemake.log[0]) as interruption, recorded(snakemake):
    interruption.end_with_snakemake()
    from pathlib import Path

    from variability.io import without_pandas

    without_pandas.import_pyarrow()
    from variability.io.files import sha256
    from variability.stages.pretrain import pretrain
    from variability.training.input_files import InputFiles
    from variability.training.saving import Saving

    rule_input, spec = snakemake.input, snakemake.params.spec
    outputs = [Path(snakemake.output[name]) for name in ("weights", "manifest", "history")]
    every, runs_per_gpu = snakemake.resources.save_every, snakemake.resources.runs_per_gpu
    saving = Saving(every, should_stop=interruption.should_stop, postponed=interruption.postponed)
    files, code = InputFiles.from_rule(rule_input), sha256(rule_input.code)
    pretrain(spec, files, code, *outputs, spec["threads"], saving, runs_per_gpu)
