# The checked study, wildcard constraints, and the functions that tell rules their inputs and params.
import os
import sys
import time
from functools import cache
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

STARTED = time.time()
ROOT = Path(workflow.basedir)
# Scripts inherit it: jobs import the library from the checkout that planned them.
sys.path.insert(0, str(ROOT / "workflow" / "lib"))

from variability import advice, registry
from variability.config import validate
from variability.io import content_hash
from variability.errors import UserError
from variability.io.mirrors import find_file, mirrors_from
from variability.config.feature_plan import FeaturePlan
from variability.models.weights_source import weights_kind
from variability.reporting.primary_rows import SUMMARISED

try:
    mirrors = mirrors_from(config.get("mirrors", []), os.environ)
    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
    study = validate.check(config, schema, mirrors)
    feature_plan = FeaturePlan(study)
except UserError as error:
    raise WorkflowError(str(error)) from None


NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"


wildcard_constraints:
    model=NAME,
    task=NAME,
    method=NAME,
    key=NAME,
    assets=NAME,
    features=NAME,
    block=r"\d+",
    analysis=r"[a-z0-9_]+",
    plot=r"[a-z0-9_]+",


# Inputs -----------------------------------------------------------------------------------------------------------
# Small manifests say whether something changed; the large files beside them are `ancient`, because Snakemake would
# compare them by time.


def imported_files():
    return [str(find_file(spec["path"], mirrors)) for spec in study.imports.values()]


def prepare_source(wildcards):
    key = study.dataset_key(wildcards.task)
    return f"<downloads>/datasets/{key}/manifest.json" if key in remote_datasets() else []


def weights_of(wildcards):
    return assets_of(wildcards) | pretrained_weights(wildcards)


def assets_of(wildcards):
    return assets_manifest(study.assets_key(wildcards.model))


def weights_assets(wildcards):
    return assets_manifest(study.assets_of_weights()[wildcards.key])


def assets_manifest(key):
    return {"assets": f"<downloads>/assets/{key}/manifest.json"} if key else {}


def pretrained_weights(wildcards):
    folder = {
        "none": None,
        "pretrain": f"<results>/pretrain/{wildcards.model}/weights",
        "file": f"<downloads>/weights/{study.weights_key(wildcards.model)}",
        "named": f"<downloads>/weights/{study.weights_key(wildcards.model)}",
    }[study.weights_kind(wildcards.model)]
    if folder is None:
        return {}
    return {"weights_manifest": f"{folder}.json", "weights": ancient(f"{folder}.safetensors")}


def task_tokens(wildcards):
    return stored_tokens(wildcards.model, wildcards.task)


def pretrain_tokens(wildcards):
    return stored_tokens(wildcards.model, study.pretraining_of(wildcards.model))


def stored_tokens(model, task):
    if not study.tokenized(task):
        return []
    folder = f"<results>/tokenize/{study.assets_key(model)}/{task}"
    return [f"{folder}/tokens.json", ancient(f"{folder}/tokens.npy")]


def finetune_features(wildcards):
    cell = (wildcards.model, wildcards.task, wildcards.method)
    return stored_features(wildcards, feature_plan.of(*cell))


def predict_features(wildcards):
    cell = (wildcards.model, wildcards.task, wildcards.method)
    return stored_features(wildcards, feature_plan.before(*cell))


def stored_features(wildcards, name):
    if name is None:
        return []
    folder = f"<results>/features/{wildcards.model}/{wildcards.task}/{name}"
    return [f"{folder}/features.json", ancient(f"{folder}/activations.npy")]


def pretrain_task(wildcards):
    return f"<results>/prepare/{study.pretraining_of(wildcards.model)}/task.json"


def pretrain_arrays(wildcards):
    return ancient(arrays(study.pretraining_of(wildcards.model)))


def task_arrays(wildcards):
    return ancient(arrays(wildcards.task))


def arrays(task):
    return [f"<results>/prepare/{task}/inputs.npy", f"<results>/prepare/{task}/examples.parquet"]


def task_predictions(wildcards):
    cells = [cell for cell in study.blocks if cell[1] == wildcards.task]
    pattern = "<results>/predict/{model}/{task}/{method}/block-{block}.json"
    return [path for cell in cells for path in blocks_of(cell, pattern)]


def report_texts():
    return [os.path.relpath(path) for path in sorted((ROOT / "workflow" / "report").glob("*.rst"))]


def summarise_code():
    return code_of("summarise")


def summary_tables():
    return [f"<results>/analyse/{name}.csv" for name in SUMMARISED if name in study.analyses]


def claim_code():
    return code_of("claim", *[plugin("claims", name) for name in study.claims])


def claim_tables():
    read = [name for claim in study.claims for name in registry.find("claims", claim).ANALYSES]
    return [f"<results>/analyse/{name}.csv" for name in dict.fromkeys(read)]


def report_code():
    return code_of("report")


def analysis_base(wildcards):
    return base_tables([name for name in analysis_tables(wildcards) if name != "predictions"])


def analysis_predictions(wildcards):
    if "predictions" not in analysis_tables(wildcards):
        return []
    return all_blocks("<results>/predict/{model}/{task}/{method}/block-{block}.json")


def analysis_tables(wildcards):
    analysis = registry.find("analyses", wildcards.analysis)
    return [name for name in (*analysis.NEEDS, *analysis.USES) if name in study.base_tables]


def plot_base(wildcards):
    return base_tables(registry.find("plots", wildcards.plot).NEEDS)


def base_tables(names):
    return ancient([f"<results>/aggregate/{name}.parquet" for name in names])


def plot_tables(wildcards):
    return [f"<results>/analyse/{name}.csv" for name in registry.find("plots", wildcards.plot).ANALYSES]


# Targets ----------------------------------------------------------------------------------------------------------


def remote_datasets():
    """Keys of the data sets that have to be fetched."""
    return [
        key
        for key, spec in study.datasets().items()
        if registry.find("datasets", spec["dataset"])(spec["options"]).is_remote()
    ]


def all_downloads():
    data = [f"<downloads>/datasets/{key}/manifest.json" for key in remote_datasets()]
    assets = [f"<downloads>/assets/{key}/manifest.json" for key in study.all_assets()]
    return data + assets + [f"<downloads>/weights/{key}.json" for key in study.all_weights()]


def all_scores():
    return [f"<results>/score/{task}/scores.json" for task in study.tasks]


def all_blocks(pattern):
    return [path for cell in study.blocks for path in blocks_of(cell, pattern)]


def blocks_of(cell, pattern):
    model, task, method = cell
    blocks = range(len(study.blocks[cell]))
    return [pattern.format(model=model, task=task, method=method, block=block) for block in blocks]


def kept_checkpoints():
    return [] if study.checkpoints == "all" else ["<results>/aggregate/checkpoints.json"]


def all_tables():
    return ["<results>/aggregate/runs.parquet", *[f"<results>/analyse/{name}.csv" for name in study.analyses]]


def all_figures():
    return [f"<results>/plot/{name}.{suffix}" for name in study.plots for suffix in ("svg", "png")]


# Params: one plain, sorted dict each, holding what the stage depends on ---------------------------------------------


def aggregate_spec():
    spec = study.aggregate_spec()
    sources = zip(spec["imports"].items(), imported_files())
    return spec | {"imports": {name: entry | {"source": content(Path(path))} for (name, entry), path in sources}}


def download_spec(wildcards):
    return with_source(study.datasets()[wildcards.key])


def prepare_spec(wildcards):
    return with_source(study.prepare_spec(wildcards.task))


def with_source(spec):
    """With what the user's own files of a data set contain: their replacement is a change, a touch is none."""
    sources = registry.find("datasets", spec["dataset"])(spec["options"]).sources(mirrors)
    return spec | {"source": content(*sources) if sources else None}


def download_weights_spec(wildcards):
    spec = study.all_weights()[wildcards.key]
    if weights_kind(spec["weights"]) == "file":
        source = find_file(spec["weights"], mirrors)
    else:
        source = release_source(spec)
    return spec | {"source": source and content(source)}


def download_assets_spec(wildcards):
    spec = study.all_assets()[wildcards.assets]
    source = release_source(spec)
    return spec | {"source": source and content(source)}


def release_source(spec):
    return registry.find("providers", spec["provider"])(spec).local_source(mirrors)


@cache
def content(*paths):
    return content_hash.contents(paths, Path("results", "contents"))


def tokenize_spec(wildcards):
    return study.all_assets()[wildcards.assets]


def pretrain_spec(wildcards):
    return study.pretrain_spec(wildcards.model)


def features_spec(wildcards):
    return feature_plan.specs[wildcards.model, wildcards.task, wildcards.features]


def finetune_spec(wildcards):
    return study.finetune_spec(wildcards.model, wildcards.task, wildcards.method, int(wildcards.block))


def predict_spec(wildcards):
    return study.predict_spec(wildcards.model, wildcards.task, wildcards.method, int(wildcards.block))


def score_metrics(wildcards):
    return study.metrics(wildcards.task)


def analysis_options(wildcards):
    return chosen("analyses", wildcards.analysis, study.analyses)


def plot_options(wildcards):
    return chosen("plots", wildcards.plot, study.plots)


def chosen(family, name, options):
    if name not in options:
        raise WorkflowError(f"{family}: {name!r} is not of this study; {advice.suggest(name, list(options))}")
    return options[name]


def analysis_caption(wildcards):
    return registry.find("analyses", wildcards.analysis).CAPTION


def plot_caption(wildcards):
    return registry.find("plots", wildcards.plot).CAPTION


# The last word ----------------------------------------------------------------------------------------------------


def say_what_was_found():
    folder = Path("results", study.name, "report")
    if (folder / "report.html").is_file() and (folder / "report.html").stat().st_mtime >= STARTED:
        print(f"\n{(folder / 'summary.md').read_text()}\nReport: {folder / 'report.html'}", file=sys.stderr)
