# Where jobs run: the functions that tell rules their environments, GPUs and threads.
from variability import extras
from variability.training import frameworks
from variability.training.device import gpu_count

# Environments -----------------------------------------------------------------------------------------------------
# Of conda, for `--sdm conda`: the smallest that has what the job's plug-ins need.


def download_environment(wildcards):
    return data_environment(study.datasets()[wildcards.key])


def prepare_environment(wildcards):
    return data_environment(study.task_entry(wildcards.task))


def data_environment(entry):
    return environment(registry.find("datasets", entry["dataset"]).extras(entry))


def weights_environment(wildcards):
    return model_environment(study.all_weights()[wildcards.key])


def assets_environment(wildcards):
    return model_environment(study.all_assets()[wildcards.assets])


def pretrain_environment(wildcards):
    return model_environment(study.model_entry(wildcards.model))


def features_environment(wildcards):
    return model_environment(study.model_entry(wildcards.model), features_spec(wildcards)["method"])


def cell_environment(wildcards):
    return model_environment(study.model_entry(wildcards.model), study.method_entry(wildcards.method))


def model_environment(model, method=None):
    of_method = registry.find("methods", method["kind"]).extras(method) if method else []
    return environment(registry.find("providers", model["provider"]).extras(model) + of_method)


def environment(names):
    return f"../../envs/{extras.smallest(names, ROOT / 'envs')}.yaml"


# Resources --------------------------------------------------------------------------------------------------------


def gpus(wildcards):
    """One GPU per training job, wherever there is one and the model's framework computes on it.

    A local machine without a GPU trains on the CPU: claiming a GPU there would let `--resources gpu=2` hold all but
    two cores idle.
    """
    if not frameworks.of(study.model_entry(wildcards.model)).ON_GPU:
        return 0
    elsewhere = workflow.non_local_exec or workflow.remote_exec
    return 1 if elsewhere or gpu_count() else 0


def prepare_threads(wildcards):
    return registry.find("datasets", study.task_entry(wildcards.task)["dataset"]).THREADS
