# Where jobs run: functions for the rules' environments, GPUs and threads.
from variability import extras
from variability.config import slurm
from variability.training import frameworks, prediction_files
from variability.training.gpu_lease import gpu_count
from variability.training.input_files import InputFiles


def environment_of(stage):
    """Return the function for a rule's ``conda``: the smallest environment that has what a job's plug-ins need."""

    def environment(wildcards):
        return f"../../envs/{smallest_environment(*STAGES[stage].extras(plan, wildcards))}.yaml"

    return environment


@cache
def smallest_environment(*names):
    return extras.smallest_environment(names, ROOT / "envs")


def gpus(wildcards):
    """Return how many GPUs a job claims: one, if there are any and the model's framework computes on them.

    A local machine without a GPU trains on the CPU: claiming a GPU there would let `--resources gpu=2` hold all but
    two cores idle, and a cluster without GPUs would refuse the job.
    """
    return gpus_of(wildcards.model)


def training_gpus(wildcards):
    """Return how many GPUs a training job claims: one for each of the processes that train a run together."""
    count = gpus_of(wildcards.model) * processes(wildcards)
    require_gpus(count)
    return count


def training_threads(wildcards):
    return study.compute["threads"] * processes(wildcards)


def processes(wildcards):
    """Return how many processes train a run: of ``finetune``, or of ``pretrain`` for a job without a task."""
    names = [wildcards.get(name) for name in ("model", "task", "method")]
    recipe = study.recipe(*names) if names[1] else specs.pretrain(study, wildcards.model)["recipe"]
    return recipe["gpus_per_run"]


def require_gpus(count):
    """Raise WorkflowError if no local job will ever get so many GPUs; otherwise it would wait, or claim fewer."""
    if count < 2 or workflow.remote_exec or workflow.non_local_exec:
        return
    limit = workflow.resource_settings.resources.get("gpu")
    limit = getattr(limit, "value", limit)
    if gpu_count() < count:
        raise WorkflowError(f"gpus_per_run: {count} needs {count} GPUs, and this machine has {gpu_count()}; lower it")
    if limit is not None and int(limit) < count:
        raise WorkflowError(f"gpus_per_run: {count} needs {count} GPUs; raise the limit of --resources gpu={limit}")


def gpus_of_any(wildcards):
    """Return how many GPUs a job claims that trains runs of any model."""
    return max((gpus_of(cell[0]) * study.recipe(*cell)["gpus_per_run"] for cell in study.seeds), default=0)


def threads_of_any(wildcards):
    most = max((study.recipe(*cell)["gpus_per_run"] for cell in study.seeds), default=1)
    return study.compute["threads"] * most


def gpus_of(model):
    return 1 if frameworks.of(study.model_entry(model)).USES_GPU and gpus_exist() else 0


def share_gpus():
    """Let as many jobs run as share the GPUs of `--resources gpu`, whose jobs claim one each.

    On other machines the cluster assigns GPUs, and each job gets one of its own.
    """
    limit = workflow.resource_settings.resources.get("gpu")
    # Snakemake has this resource without a value, too.
    gpus = getattr(limit, "value", limit)
    if gpus is not None and workflow.is_main_process and not workflow.non_local_exec:
        workflow.register_resource("gpu", int(gpus) * study.compute["runs_per_gpu"])


share_gpus()


def gpus_exist():
    if workflow.remote_exec and slurm.in_job(os.environ):
        return slurm.got_gpu(os.environ)
    if workflow.non_local_exec:
        return workflow.executor_plugin.name != "slurm" or slurm.has_gpus()
    return workflow.remote_exec or gpu_count() > 0


def predict_gpus(wildcards, input):
    """Return how many GPUs a job of ``predict`` claims: none if training has written its predictions already."""
    wanted = gpus(wildcards)
    return 0 if wanted and predictions_exist(wildcards, input) else wanted


def predictions_exist(wildcards, input):
    if workflow.remote_exec or not Path(input.runs).is_file():
        return False
    folder = Path(RESULTS, "predict", wildcards.model, wildcards.task, wildcards.method)
    entry = study.model_entry(wildcards.model)
    files = InputFiles.from_rule(input)
    return prediction_files.all_current(
        entry, files, Path(input.runs), Path(input.code), folder, study.compute["threads"]
    )


# A job that starts again gets more: it ended because it had too little, or else this does no harm.


def memory(wildcards, attempt):
    return study.compute["mem_mb"] * attempt


def training_memory(wildcards, attempt):
    return memory(wildcards, attempt) * processes(wildcards)


def training_runtime(wildcards, attempt):
    return study.compute["runtime"] * attempt


def predict_runtime(wildcards, attempt):
    """Return minutes: a part of those of training, because a job that does both requests the sum."""
    return max(1, study.compute["runtime"] // 4) * attempt


def prepare_threads(wildcards):
    return registry.find("datasets", study.task_entry(wildcards.task)["dataset"]).THREADS
