# Where jobs run: functions for the rules' environments, GPUs and threads.
from variability import extras
from variability.training import frameworks
from variability.training.gpu_lease import gpu_count


def environment_of(stage):
    """Return the function for a rule's ``conda``: the smallest environment that has what a job's plug-ins need."""

    def environment(wildcards):
        return f"../../envs/{smallest_environment(*STAGES[stage].extras(plan, wildcards))}.yaml"

    return environment


@cache
def smallest_environment(*names):
    return extras.smallest_environment(names, ROOT / "envs")


def gpus(wildcards):
    """Return how many GPUs a training job claims: one, if there is one and the model's framework computes on it.

    A local machine without a GPU trains on the CPU: claiming a GPU there would let `--resources gpu=2` hold all but
    two cores idle.
    """
    if not frameworks.of(study.model_entry(wildcards.model)).USES_GPU:
        return 0
    runs_on_other_machines = workflow.non_local_exec or workflow.remote_exec
    return 1 if runs_on_other_machines or gpu_count() else 0


def prepare_threads(wildcards):
    return registry.find("datasets", study.task_entry(wildcards.task)["dataset"]).THREADS
