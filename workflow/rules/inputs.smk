# Functions for the rules' inputs. Small manifests show whether something changed; the large files next to them are
# `ancient`, because Snakemake would compare them by time.


def imported_files():
    return plan.imported_inputs()


def prepare_source(wildcards):
    key = specs.dataset_key(study, wildcards.task)
    return f"<downloads>/datasets/{key}/manifest.json" if key in remote_datasets() else []


def prepare_bundles(wildcards):
    manifests = prepare_source(wildcards)
    if manifests:
        return bundles_of(manifests)
    entry = study.task_entry(wildcards.task)
    own = registry.find("datasets", entry["dataset"])(entry["options"]).sources(mirrors)
    return stay_here() if own else []


def weights_of(wildcards):
    return assets_of(wildcards) | pretrained_weights(wildcards)


def assets_of(wildcards):
    return assets_manifest(specs.assets_key(study, wildcards.model))


def weights_bundles(wildcards):
    return bundles_of(*weights_assets(wildcards).values())


def model_bundles(wildcards):
    return bundles_of(*assets_of(wildcards).values())


def predict_bundles(wildcards):
    keys = {name: wildcards[name] for name in ("model", "task", "method", "block")}
    runs = FITTED.format(**keys)
    return [*model_bundles(wildcards), *bundles_of(runs), *tensors_of(runs)]


def weights_assets(wildcards):
    return assets_manifest(specs.assets_of_weights(study)[wildcards.key])


def assets_manifest(key):
    return {"assets": f"<downloads>/assets/{key}/manifest.json"} if key else {}


def pretrained_weights(wildcards):
    folder = {
        "none": None,
        "pretrain": f"<results>/pretrain/{wildcards.model}/weights",
        "file": f"<downloads>/weights/{specs.weights_key(study, wildcards.model)}",
        "named": f"<downloads>/weights/{specs.weights_key(study, wildcards.model)}",
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
    folder = f"<results>/tokenize/{specs.assets_key(study, model)}/{task}"
    return [f"{folder}/tokens.json", ancient(f"{folder}/tokens.npy")]


def finetune_features(wildcards):
    cell = (wildcards.model, wildcards.task, wildcards.method)
    return stored_features(wildcards, plan.features.for_training(*cell))


def predict_features(wildcards):
    cell = (wildcards.model, wildcards.task, wildcards.method)
    return stored_features(wildcards, plan.features.before_training(*cell))


def stored_features(wildcards, name):
    if name is None:
        return []
    folder = f"<results>/features/{wildcards.model}/{wildcards.task}/{name}"
    return [f"{folder}/features.json", ancient(f"{folder}/activations.npy")]


def probe_pairs():
    return [pair for pair in probe_plan.pairs(study) if pair["features"]]


def probe_features(file):
    return ["<results>/features/{model}/{task}/{features}/".format(**pair) + file for pair in probe_pairs()]


def probe_tasks():
    return [f"<results>/prepare/{task}/task.json" for task in probe_arrays_by_task()]


def probe_arrays():
    return [path for paths in probe_arrays_by_task().values() for path in paths]


def probe_arrays_by_task():
    return {pair["task"]: arrays(pair["task"]) for pair in probe_plan.pairs(study)}


def probes():
    return ["<results>/reference_probe/probes.json"] if probe_pairs() else []


def pretrain_task(wildcards):
    return f"<results>/prepare/{study.pretraining_of(wildcards.model)}/task.json"


def pretrain_arrays(wildcards):
    return ancient(arrays(study.pretraining_of(wildcards.model)))


def task_arrays(wildcards):
    return ancient(arrays(wildcards.task))


def arrays(task):
    return [f"<results>/prepare/{task}/inputs.npy", f"<results>/prepare/{task}/examples.parquet"]


def prepared_tasks():
    return [f"<results>/prepare/{task}/task.json" for task in study.tasks]


def task_predictions(wildcards):
    cells = [cell for cell in study.seed_chunks if cell[1] == wildcards.task]
    return [path for cell in cells for path in chunks_of(cell, PREDICTED)]


def score_bundles(wildcards):
    return bundles_of(*task_predictions(wildcards))


def report_texts():
    return [os.path.relpath(path) for path in sorted((ROOT / "workflow" / "report").glob("*.rst"))]


def page_parts():
    folder = ROOT / "workflow" / "lib" / "variability" / "reporting" / "page" / "parts"
    return [os.path.relpath(path) for path in sorted(folder.iterdir())]


def page_base():
    """Return the runs table, learning curves, confusion counts and imported examples, as far as the study has them."""
    names = {"runs": "runs", "history": "history", "per_class": "per_class", "predictions": "imported_predictions"}
    return base_tables(file for name, file in names.items() if name in plan.outputs.base_tables)


def prepared_arrays():
    return [ancient(path) for task in study.tasks for path in arrays(task)]


def summary_tables():
    summarised = [name for name in plan.outputs.analyses if registry.find("analyses", name).SUMMARISED]
    return [f"<results>/analyse/{name}.csv" for name in summarised]


def claim_tables():
    read = [name for claim in plan.outputs.claims for name in registry.find("claims", claim).ANALYSES]
    return [f"<results>/analyse/{name}.csv" for name in dict.fromkeys(read)]


def analysis_base():
    read = tables_read("analyses")
    # The predictions of runs that are trained here are files of their own.
    return base_tables("imported_predictions" if name == "predictions" else name for name in read)


def analysis_predictions():
    if "predictions" not in tables_read("analyses"):
        return []
    return all_chunks(PREDICTED)


def plot_base():
    return base_tables(tables_read("plots"))


def tables_read(family):
    """Return the base tables that the study has and its analyses or plots read."""
    chosen = getattr(plan.outputs, family)
    plugins = [registry.find(family, name) for name in chosen]
    read = {name for plugin in plugins for name in (*plugin.NEEDS, *getattr(plugin, "USES", ()))}
    return [name for name in plan.outputs.base_tables if name in read]


def base_tables(names):
    return ancient([f"<results>/aggregate/{name}.parquet" for name in names])


def plot_tables():
    read = {name for plot in plan.outputs.plots for name in registry.find("plots", plot).ANALYSES}
    return [f"<results>/analyse/{name}.csv" for name in sorted(read)]
