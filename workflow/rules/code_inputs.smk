# What code the rules depend on, as an input of its own: an edit reruns the stages that import the edited file.
from functools import cache

from snakemake.iocontainers import Wildcards

from variability import provenance
from variability.models import methods

# A rule's ``input: code`` lists the library files its stage imports, and its script, with their checksums. Snakemake
# compares so small a file by content: a touch of the code reruns nothing, an edit what imports the edited file.

CODE = Path("results", "code")


@cache
def code_of(stage, *plugins):
    return str(provenance.write_listing(CODE, stage, *plugins))


def plugin(family, name):
    return registry.module_name(family, name)


def download_code(wildcards):
    return code_of("download", plugin("datasets", study.datasets()[wildcards.key]["dataset"]))


def prepare_code(wildcards):
    entry = study.task_entry(wildcards.task)
    named = {"datasets": entry["dataset"], "modalities": entry["modality"], "kinds": entry["kind"]}
    return code_of("prepare", *[plugin(family, name) for family, name in named.items()])


def download_weights_code(wildcards):
    return code_of("download_weights", plugin("providers", study.all_weights()[wildcards.key]["provider"]))


def download_assets_code(wildcards):
    return code_of("download_assets", plugin("providers", study.all_assets()[wildcards.assets]["provider"]))


def tokenize_code(wildcards):
    named = {
        "providers": study.all_assets()[wildcards.assets]["provider"],
        "modalities": study.task_entry(wildcards.task)["modality"],
    }
    return code_of("tokenize", *[plugin(family, name) for family, name in named.items()])


def pretrain_code(wildcards):
    task = study.pretraining_of(wildcards.model)
    return code_of("pretrain", *study.plugins(wildcards.model, task), plugin("methods", methods.PRETRAINING["kind"]))


def features_code(wildcards):
    method = features_spec(wildcards)["method"]
    used = study.plugins(wildcards.model, wildcards.task)
    return code_of("features", *used, *([plugin("methods", method["kind"])] if method else []))


def finetune_code(wildcards):
    return code_of("finetune", *study.plugins(wildcards.model, wildcards.task, wildcards.method))


def predict_code(wildcards):
    return code_of("predict", *study.plugins(wildcards.model, wildcards.task, wildcards.method))


def score_code(wildcards):
    kind = plugin("kinds", study.task_entry(wildcards.task)["kind"])
    return code_of("score", kind, *[plugin("metrics", name) for name in study.metrics(wildcards.task)])


def aggregate_code(wildcards):
    metrics = dict.fromkeys(name for task in study.tasks for name in study.metrics(task))
    named = [("metrics", name) for name in metrics] + [("kinds", name) for name in registry.names("kinds")]
    return code_of("aggregate", *[plugin(*each) for each in named])


def keep_checkpoints_code():
    return code_of("keep_checkpoints", *[plugin("metrics", name) for name in registry.names("metrics")])


def analyse_code(wildcards):
    return code_of("analyse", plugin("analyses", wildcards.analysis))


def plot_code(wildcards):
    return code_of("plot", plugin("plots", wildcards.plot))


def write_listings():
    """All listings of code that the study's jobs have as inputs.

    Before any job is planned: Snakemake looks into a folder once, and takes a file that comes later for missing.
    """
    for key in study.datasets():
        download_code(Wildcards(fromdict={"key": key}))
    for task in [*study.tasks, *study.config.get("pretraining", {})]:
        prepare_code(Wildcards(fromdict={"task": task}))
    for key in study.all_weights():
        download_weights_code(Wildcards(fromdict={"key": key}))
    for key in study.all_assets():
        download_assets_code(Wildcards(fromdict={"assets": key}))
    for key, task in study.all_tokens():
        tokenize_code(Wildcards(fromdict={"assets": key, "task": task}))
    for model, task, features in feature_plan.specs:
        features_code(Wildcards(fromdict={"model": model, "task": task, "features": features}))
    for model, task, method in study.seeds:
        cell = Wildcards(fromdict={"model": model, "task": task, "method": method})
        for code in (finetune_code, predict_code, score_code):
            code(cell)
        if study.weights_kind(model) == "pretrain":
            pretrain_code(cell)
    for analysis in study.analyses:
        analyse_code(Wildcards(fromdict={"analysis": analysis}))
    for plot in study.plots:
        plot_code(Wildcards(fromdict={"plot": plot}))
    aggregate_code(Wildcards())


write_listings()
