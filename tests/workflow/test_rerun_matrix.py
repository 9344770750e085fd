"""Only changed stages rerun: each edit, and exactly the jobs that follow from it, by name."""

import ast
import json
import os
import random
import re
import shutil
from pathlib import Path

import pytest
import yaml
from support import ROOT, Checkout

from variability.config.outputs import Outputs
from variability.config.stage_table import STAGES
from variability.config.study import Study

pytestmark = pytest.mark.slow

LIB = "workflow/lib/variability"
#: Appended to a module; a comment would change nothing.
EDIT = "\nEDITED = 1\n"
CELLS = [("pretrained", "linear_probe"), ("pretrained", "full"), ("scratch", "full")]
CONFIG = yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text())
OUTPUTS = Outputs(Study(CONFIG))
#: Jobs that follow from an edit of any table, and those that follow from other runs.
AFTER_TABLES = {"plot", "claim", "summarise", "page", "record", "report"}
END = {"aggregate", "analyse"} | AFTER_TABLES


def of(rule: str, *models: str, block: int = 0) -> set[str]:
    cells = [(model, method) for model, method in CELLS if not models or model in models]
    return {f"{rule} model={model}, task=digits, method={method}, block={block}" for model, method in cells}


def from_finetune(*models: str, block: int = 0) -> set[str]:
    return {job for rule in ("finetune", "predict") for job in of(rule, *models, block=block)} | SCORE | END


def prepare(*tasks: str) -> set[str]:
    return {f"prepare task={task}" for task in tasks}


PRETRAIN = {"pretrain model=pretrained"}
SCORE = {"score task=digits"}
PROBE = {"reference_probe"}
#: With the linear model that is fitted on them.
FEATURES = {"features model=pretrained, task=digits, features=backbone"} | PROBE


def jobs(study: Checkout) -> set[str]:
    return study.jobs("--configfile", "tiny.yaml")


def made(study: Checkout, *targets: str) -> list[set[str]]:
    """Make all tables or figures; return by target those that were made, all others being restored."""
    study.snakemake(*targets, "--cores", "2", "--configfile", "tiny.yaml")
    return [made_by(study, target) for target in targets]


def made_by(study: Checkout, target: str) -> set[str]:
    """Return the tables or figures that the last job of a target made."""
    log = study.folder / "results/tiny" / {"tables": "analyse/analyse.log", "figures": "plot/plot.log"}[target]
    names, restored = (
        set(names.split(", ")) - {"none"}
        for names in re.search(r"made: (.*); unchanged: (.*)", log.read_text()).groups()
    )
    assert names | restored == set(OUTPUTS.analyses if target == "tables" else OUTPUTS.plots)
    return names


def run_files(study: Checkout) -> dict[Path, int]:
    """Return the time of the last change of each file of each run."""
    runs = (study.folder / "results/tiny").glob("finetune/*/*/*/*/*")
    return {path.relative_to(study.folder): path.stat().st_mtime_ns for path in runs if not path.name.startswith(".")}


def test_what_changes_no_result_reruns_nothing(study):
    """All edits at once: if nothing reruns after all of them, nothing reruns after one."""
    text = (study.folder / "tiny.yaml").read_text().replace("recipe: {epochs: 2, batch_size: 20, lr: 0.002}\n", "")
    # In another order, with a comment, and with a default that is written out.
    reordered = "recipe: {lr: 0.002, batch_size: 20, epochs: 2} # same\n" + text + "analyses:\n  churn:\n"
    (study.folder / "tiny.yaml").write_text(reordered)
    study.append("workflow/schemas/config.schema.yaml", "# edited\n")
    for name in ("training/frameworks/keras.py", "training/frameworks/_keras_training.py", "models/providers/keras.py"):
        study.append(f"{LIB}/{name}", EDIT)  # of a framework that the study does not use
    for path in study.folder.rglob("*"):
        if ".snakemake" not in path.parts and path.is_file():
            os.utime(path)
    assert jobs(study) == set()


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param(lambda text: f"# A comment.\n{text}# Another.\n", id="a comment"),
        # Opening quotes of all docstrings; closing ones end a line.
        pytest.param(lambda text: re.sub(r'^( *""")(?=\w)', r"\1Edited. ", text, flags=re.MULTILINE), id="a docstring"),
        pytest.param(lambda text: ast.unparse(ast.parse(text)), id="reformatted"),
    ],
)
def test_code_edited_that_means_the_same_reruns_nothing(study, edited):
    """In all modules and scripts at once."""
    files = [*study.folder.glob(f"{LIB}/**/*.py"), *study.folder.glob("workflow/scripts/*.py")]
    texts = {path: path.read_text() for path in files}
    for path, text in texts.items():
        path.write_text(edited(text))
    assert sum(path.read_text() != text for path, text in texts.items()) > len(files) * 0.7
    assert jobs(study) == set()


def test_one_model_edited(study):
    study.edit("tiny.yaml", "weights: none}", "weights: none, recipe: {epochs: 3}}")
    assert jobs(study) == from_finetune("scratch")


def test_a_model_added(study):
    study.edit("tiny.yaml", "models:\n", "models:\n  other: {architecture: shufflenet_v2_x1_0, weights: none}\n")
    study.edit("tiny.yaml", "model: scratch", "model: [scratch, other]")
    added = {f"{rule} model=other, task=digits, method=full, block=0" for rule in ("finetune", "predict")}
    assert jobs(study) == added | SCORE | PROBE | END


def test_a_seed_added_in_a_block_of_its_own(study):
    study.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert jobs(study) == from_finetune(block=1)


def test_a_seed_added_to_a_block_trains_that_seed_and_no_other(study):
    before = run_files(study)
    study.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 5]")
    study.edit("tiny.yaml", "seeds_per_job: 2", "seeds_per_job: 3")
    assert jobs(study) == from_finetune()
    study.snakemake("runs", "--cores", "2", "--configfile", "tiny.yaml")
    after = run_files(study)
    assert {path: after[path] for path in before} == before
    assert {path.parent.name for path in set(after) - set(before)} == {"5"}


def test_a_seed_removed_trains_nothing(study):
    before = run_files(study)
    study.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0]")
    assert set(Outputs(Study(CONFIG | {"seeds": [0]})).plots) < set(OUTPUTS.plots), "one seed has no spread to plot"
    assert jobs(study) == from_finetune()
    study.snakemake("runs", "--cores", "2", "--configfile", "tiny.yaml")
    assert run_files(study) == before


def test_fewer_checkpoints_kept_reruns_nothing_before_and_nothing_after(study):
    study.append("tiny.yaml", "checkpoints: none\n")
    assert jobs(study) == {"keep_checkpoints"}
    study.snakemake("--cores", "1", "--configfile", "tiny.yaml")
    assert not list(study.folder.glob("results/tiny/finetune/*/*/*/*/checkpoint.safetensors"))
    assert jobs(study) == set()
    study.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert jobs(study) == from_finetune(block=1) | {"keep_checkpoints"}
    before = run_files(study)
    added = "results/tiny/predict/scratch/digits/full/block-1.json"
    study.snakemake(added, "--cores", "2", "--configfile", "tiny.yaml")
    after = run_files(study)
    assert {path: after[path] for path in before} == before
    assert {path.parent.name for path in set(after) - set(before)} == {"2"}


def test_figures_for_a_paper(study):
    study.append("tiny.yaml", "figures: {width: 8.5 cm, formats: [svg, pdf]}\n")
    assert jobs(study) == {"plot", "record", "report"}


def test_a_plot_restyled(study):
    study.append("tiny.yaml", "plots:\n  seed_spread: {title: Digits}\n  gain_slopes:\n")
    assert jobs(study) == {"plot", "record", "report"}
    assert made(study, "figures") == [{"seed_spread"}]


def test_a_plots_code_edited(study):
    study.append(f"{LIB}/reporting/plots/gain_slopes.py", EDIT)
    (study.folder / "results/tiny/plot/intervals.png").unlink()
    assert jobs(study) == {"plot", "record", "report"}
    assert made(study, "figures") == [{"gain_slopes"}]
    assert (study.folder / "results/tiny/plot/intervals.png").is_file()


def test_a_metric_edited(study):
    study.append(f"{LIB}/results/metrics/f1.py", EDIT)
    assert jobs(study) == SCORE | PROBE | END


def test_a_metric_left_out(study):
    study.append("tiny.yaml", "metrics: [accuracy, nll]\n")
    assert jobs(study) == SCORE | PROBE | END


def test_an_analysis_edited(study):
    study.append(f"{LIB}/reporting/analyses/gain.py", EDIT)
    assert jobs(study) == {"analyse"} | AFTER_TABLES
    assert made(study, "tables", "figures") == [{"gain"}, set()], "the table is the same"


def test_a_claim_edited(study):
    study.append(f"{LIB}/reporting/claims/beats.py", EDIT)
    assert jobs(study) == {"claim", "summarise", "page", "record", "report"}


def test_a_section_of_the_report_page_edited(study):
    study.append(f"{LIB}/reporting/questions/seeds.py", EDIT)
    assert jobs(study) == {"page", "record"}


def test_the_style_of_the_report_page_edited(study):
    study.append(f"{LIB}/reporting/page/parts/page.css", "/* wider */")
    assert jobs(study) == {"page", "record"}


def test_the_level_of_one_analysis_edited(study):
    study.append("tiny.yaml", "analyses:\n  churn: {level: 0.9}\n")
    assert jobs(study) == {"analyse"} | AFTER_TABLES
    assert made(study, "tables", "figures") == [{"churn"}, {"churn"}]


def test_a_method_edited(study):
    study.append(f"{LIB}/models/methods/linear_probe.py", EDIT)
    probe = {job for job in from_finetune() if "method=linear_probe" in job}
    assert jobs(study) == probe | SCORE | END


@pytest.mark.parametrize("file", ["models/providers/torchvision.py", "data/modalities/_images.py", "models/cutting.py"])
def test_building_feeding_and_cutting_networks_concern_the_jobs_that_training_concerns(finished, file):
    """A test below, which edits the module of the optimizers, lists these jobs."""
    assert depending(finished, file) == depending(finished, "training/optimizers.py") != set()


def depending(study: Checkout, file: str) -> set[str]:
    """Return the names of the listings that name a file of the library; each is an input of the jobs that import it."""
    listings = [path for path in (study.folder / "results/code").glob("*.txt") if f"/{file}\n" in path.read_text()]
    # No job has that listing, because the study keeps all of its checkpoints.
    return {path.name for path in listings if not path.name.startswith("keep_checkpoints")}


def test_a_constant_edited_in_a_module_imported_two_levels_down(study):
    study.edit(f"{LIB}/training/optimizers.py", "EPS = 1e-8", "EPS = 1e-7")
    assert jobs(study) == PRETRAIN | FEATURES | from_finetune()


def test_a_data_set_edited(study):
    study.append(f"{LIB}/data/datasets/digits.py", EDIT)
    assert jobs(study) == prepare("digits") | FEATURES | from_finetune()


def test_the_kernels_switched_off(study, monkeypatch):
    """All jobs that train or predict run again; without the variable, the earlier results are still valid."""
    monkeypatch.setenv("VARIABILITY_STOCK_KERNELS", "1")
    assert jobs(study) == PRETRAIN | FEATURES | from_finetune()
    monkeypatch.setenv("VARIABILITY_STOCK_KERNELS", "0")
    assert jobs(study) == set()


def test_the_code_of_predictions_edited(study):
    """It is an input of training, too, which predicts ahead."""
    study.append(f"{LIB}/stages/predict.py", EDIT)
    assert jobs(study) == of("predict") | SCORE | END


def test_another_time_between_saved_states_reruns_nothing(study):
    study.edit("tiny.yaml", "compute: {", "compute: {save_every: 1 h, ")
    assert jobs(study) == set()


def test_another_limit_of_stored_activations_trains_nothing(study):
    before = run_files(study)
    study.edit("tiny.yaml", "compute: {", "compute: {features_gb: 5, ")
    assert jobs(study) == FEATURES | from_finetune("pretrained")
    study.snakemake("runs", "--cores", "2", "--configfile", "tiny.yaml")
    assert run_files(study) == before


def test_a_module_that_everything_imports_edited(study):
    study.append(f"{LIB}/errors.py", EDIT)
    assert jobs(study) == prepare("digits", "letters") | PRETRAIN | FEATURES | from_finetune()


def test_a_script_edited(study):
    study.append("workflow/scripts/score.py", EDIT)
    assert jobs(study) == SCORE | END


def test_a_users_file_of_weights_replaced_and_touched(study):
    weights = study.folder / "results/tiny/pretrain/pretrained/weights.safetensors"
    copy = study.folder / "own.safetensors"
    shutil.copy(weights, copy)
    study.edit("tiny.yaml", "weights: none", "weights: own.safetensors")
    study.snakemake("downloads", "--cores", "1", "--configfile", "tiny.yaml")
    os.utime(copy)
    assert not any(job.startswith("download_weights") for job in jobs(study))
    # Like a network that was trained again: of the same size and with the same beginning and end.
    retrained = bytearray(copy.read_bytes())
    retrained[len(retrained) // 2] ^= 1
    copy.write_bytes(retrained)
    assert any(job.startswith("download_weights") for job in jobs(study))


# Without Snakemake's records --------------------------------------------------------------------------------------


def lose_records(study: Checkout, seed: int) -> None:
    """Delete the folder ``.snakemake``, and give all files times in random order, as copies and clones do."""
    shutil.rmtree(study.folder / ".snakemake")
    files = sorted(path for path in study.folder.rglob("*") if path.is_file())
    random.Random(seed).shuffle(files)
    for time, path in enumerate(files, 1_700_000_000):
        os.utime(path, (time, time))


def test_a_study_without_snakemakes_records_reruns_what_changed_and_nothing_else(study):
    lose_records(study, 0)
    assert jobs(study) == set()
    lose_records(study, 1)
    study.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert jobs(study) == from_finetune(block=1)
    lose_records(study, 2)
    assert jobs(study) == from_finetune(block=1), "planned earlier, and not yet made"
    study.edit("tiny.yaml", "seeds: [0, 1, 2]", "seeds: [0, 1]")
    assert jobs(study) == set()
    study.edit("tiny.yaml", "weights: none}", "weights: none, recipe: {epochs: 3}}")
    lose_records(study, 3)
    assert jobs(study) == from_finetune("scratch")


def test_a_study_without_snakemakes_records_notices_edited_code_and_fewer_seeds(study):
    study.append(f"{LIB}/reporting/analyses/gain.py", EDIT)
    lose_records(study, 0)
    assert jobs(study) == {"analyse"} | AFTER_TABLES
    study.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0]")
    lose_records(study, 1)
    assert jobs(study) == from_finetune()


def test_a_study_goes_on_elsewhere_without_snakemakes_records(study, tmp_path):
    """Copied file by file, with a seed more: the finished runs are reused, and the result is that of one machine."""
    elsewhere = tmp_path / "elsewhere"
    ignored = shutil.ignore_patterns(".snakemake")
    shutil.copytree(study.folder, elsewhere, symlinks=True, copy_function=shutil.copyfile, ignore=ignored)
    copy = Checkout(elsewhere)
    copy.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 1, 5]")
    copy.edit("tiny.yaml", "seeds_per_job: 2", "seeds_per_job: 3")
    before = {path: (copy.folder / path).read_bytes() for path in run_files(copy)}
    assert jobs(copy) == from_finetune()
    copy.snakemake("runs", "--cores", "2", "--configfile", "tiny.yaml")
    assert {path: (copy.folder / path).read_bytes() for path in before} == before
    assert {path.parent.name for path in set(run_files(copy)) - set(before)} == {"5"}
    assert not any(job.startswith(("finetune", "predict", "features", "prepare")) for job in jobs(copy))


def test_jobs_are_compared_after_those_that_make_their_inputs(finished):
    """Times are corrected in the order of the table of stages."""
    order = {stage: index for index, stage in enumerate(STAGES)}
    records = [
        (path.relative_to(made).parts[0].removesuffix(".json"), json.loads(path.read_text()))
        for made in finished.folder.glob("results/*/jobs/made")
        for path in made.rglob("*.json")
    ]
    made_by = {output: stage for stage, record in records for output in record["outputs"]}
    assert {"prepare", "pretrain", "finetune", "predict", "score", "analyse", "report"} <= {
        stage for stage, _ in records
    }
    for stage, record in records:
        assert all(order[made_by[path]] < order[stage] for path in record["inputs"] if path in made_by)


def test_a_caption_edited(study):
    study.append("workflow/report/claims.rst", "\nMore.\n")
    assert jobs(study) == {"report"}
