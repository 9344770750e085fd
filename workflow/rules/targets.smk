# Files that a study consists of, for the targets and for the rules that gather them.
from snakemake.io import report as reported

from variability.io.files import write_text

FITTED = "<results>/finetune/{model}/{task}/{method}/block-{block}.json"
PREDICTED = "<results>/predict/{model}/{task}/{method}/block-{block}.json"


def remote_datasets():
    """Return the keys of the data sets that have to be fetched."""
    return [
        key
        for key, spec in specs.datasets(study).items()
        if registry.find("datasets", spec["dataset"])(spec["options"]).is_remote()
    ]


def all_downloads():
    data = [f"<downloads>/datasets/{key}/manifest.json" for key in remote_datasets()]
    assets = [f"<downloads>/assets/{key}/manifest.json" for key in specs.assets(study)]
    return data + assets + [f"<downloads>/weights/{key}.json" for key in specs.weights(study)]


def all_scores():
    return [f"<results>/score/{task}/scores.json" for task in study.tasks]


def all_chunks(pattern):
    """Return a file for each seed chunk of each cell. pattern: its path, with the wildcards' names in braces."""
    return [path for cell in study.seed_chunks for path in chunks_of(cell, pattern)]


def chunks_of(cell, pattern):
    model, task, method = cell
    chunks = range(len(study.seed_chunks[cell]))
    return [pattern.format(model=model, task=task, method=method, block=chunk) for chunk in chunks]


def checkpoints_record():
    return [] if study.checkpoints == "all" else ["<results>/aggregate/checkpoints.json"]


def all_tables():
    # The runs table is large, and whatever changes it changes the others.
    return [ancient("<results>/aggregate/runs.parquet"), *[table(name) for name in plan.outputs.analyses]]


def all_figures():
    return [file for suffix in figure_formats() for file in figures(suffix)]


def figure_formats():
    return figure_settings.of_study(config)["formats"]


def other_figures():
    """Return the files of all figures that reports do not show."""
    return [file for suffix in figure_formats() if suffix != "svg" for file in figures(suffix)]


def recorded_files():
    """Return the files that the record of a study lists: those for readers, and the records of the stages."""
    stages = [*all_chunks(FITTED), *all_chunks(PREDICTED), *all_scores(), *probes(), *prepared_tasks()]
    stages += [f"<results>/features/{'/'.join(key)}/features.json" for key in plan.features.specs]
    stages += [f"<results>/pretrain/{job['model']}/weights.json" for job in STAGES["pretrain"].jobs(plan)]
    stages += [f"<results>/tokenize/{key}/{task}/tokens.json" for key, task in specs.tokens(study)]
    pages = [f"<results>/claim/claims.{suffix}" for suffix in ("csv", "html", "md")]
    pages += [f"<results>/report/{page}" for page in ("index.html", "answer.txt", "summary.md", "summary.html")]
    return [*stages, *all_tables(), *all_figures(), *pages]


def table(name):
    return f"<results>/analyse/{name}.csv"


def figures(suffix):
    return [f"<results>/plot/{name}.{suffix}" for name in plan.outputs.plots]


def reported_tables():
    """Return the tables of all analyses with their captions in the report."""
    return [
        reported(table(name), caption=caption("analyses", name), category="Tables", labels={"table": name})
        for name in plan.outputs.analyses
    ]


def reported_figures():
    """Return the SVG files of all figures with their captions in the report."""
    return [
        reported(file, caption=caption("plots", name), category="Figures", labels={"figure": name})
        for name, file in zip(plan.outputs.plots, figures("svg"), strict=True)
    ]


def caption(family, name):
    """Return a file with the caption of a plug-in: outputs of one job would have the same caption otherwise."""
    path = Path("results", "code", "captions", f"{family}-{name}.rst")
    text = f"{registry.find(family, name).CAPTION}\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return str(path.resolve())
