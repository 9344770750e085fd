"""Analyses, figures and claims in scripts and notebooks equal those of the study."""

import shutil
import warnings

import finished_study
import pandas as pd
import pytest
import synthetic_study as synthetic

import variability
from variability import registry
from variability.errors import UserError
from variability.io import artefacts
from variability.results import analysis_tables

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(finished):
    return finished


@pytest.fixture(scope="module")
def runs(study):
    return variability.read_runs(study)


@pytest.mark.parametrize("name", finished_study.ANALYSES)
def test_a_folder_gives_the_tables_of_the_study(study, name):
    pd.testing.assert_frame_equal(variability.analyse(study, name), analysis_tables.read(study / f"analyse/{name}.csv"))


def test_runs_alone_give_the_same_table_as_the_study(study, runs):
    of_runs = variability.analyse(runs, "pairwise")
    pd.testing.assert_frame_equal(of_runs, variability.analyse(study, "pairwise"), check_dtype=False)


def test_a_table_that_the_study_does_not_have_is_computed_from_its_files(study):
    table = variability.analyse(study, "noise_split")
    assert table["n"].tolist() == [3, 2]  # the third run of b diverged


def test_options_are_added_to_those_of_the_study(study, runs):
    assert set(variability.analyse(study, "intervals")["level"]) == {0.9}
    assert set(variability.analyse(runs, "intervals")["level"]) == {0.95}
    one_run = variability.analyse(study, "intervals", level=0.5)
    assert set(one_run["level"]) == {0.5}
    assert set(variability.analyse(study, "churn", level=0.8)["level"]) == {0.8}


def test_predictions_of_earlier_configs_are_not_read(study):
    older = study / "predict/a/digits/full/block-1.json"
    older.write_text("not read")
    try:
        variability.analyse(study, "churn", level=0.8)
    finally:
        older.unlink()


def test_a_selection_of_runs_is_analysed_alone(runs):
    table = variability.analyse(runs[runs["seed"] < 2], "intervals")
    assert set(table["n"]) == {2}


def test_repeated_runs_are_left_out(runs):
    repeats = runs[runs["model"] == "a"].assign(method="full-again", repeats="full")
    both = pd.concat([runs, repeats], ignore_index=True)
    assert set(variability.analyse(both, "intervals")["method"]) == {"full"}
    assert set(variability.analyse(both, "nondeterminism")["repeat_method"]) == {"full-again"}


def test_claims_of_a_folder_are_those_of_the_study(study):
    of_study = analysis_tables.read(study / "claim/claims.csv")
    pd.testing.assert_frame_equal(variability.claims(study), of_study, check_dtype=False)


def test_claims_of_runs_are_those_that_need_runs_alone(runs):
    sentences = variability.claims(runs, ["beats"])["sentence"].tolist()
    assert sentences == ["On digits, a (full) beats b (full)."]
    wide = variability.claims(runs, [{"beats": {"margin": 0.5}}])
    assert wide["verdict"].tolist() == ["equivalent"] and wide["margin"].tolist() == [0.5]


def test_tables_of_an_earlier_version_that_lack_columns_are_computed(study, tmp_path):
    older = tmp_path / "results/my-study"
    shutil.copytree(study, older)
    path = older / "analyse/decisions.csv"
    analysis_tables.write(analysis_tables.read(path).drop(columns="n_more"), path)
    artefacts.write_checksums(path.parent / artefacts.LISTING, [file.name for file in path.parent.glob("*.csv")])
    pd.testing.assert_frame_equal(variability.claims(older), variability.claims(study), check_dtype=False)


def test_a_figure_is_shown_by_notebooks_and_saved(runs, tmp_path):
    figure = variability.draw(runs, "intervals", title="my runs")
    assert figure.get_suptitle() == "my runs"
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.savefig(tmp_path / "figure.svg")
    assert "my runs" in (tmp_path / "figure.svg").read_text()


def test_a_figure_has_the_named_font(runs):
    figure = variability.draw(runs, "intervals", font="DejaVu Serif")
    assert figure.axes[0].get_xaxis().get_label().get_fontfamily()[0] == "DejaVu Serif"


def test_a_figure_of_a_folder_reads_all_its_tables(study):
    assert variability.draw(study, "learning_curves").axes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda runs, _: variability.analyse(runs, "pairwize"), "unknown analysis 'pairwize'; did you mean 'pairwise'"),
        (lambda runs, _: variability.draw(runs, "interval"), "unknown plot 'interval'; did you mean 'intervals'"),
        (lambda runs, _: variability.claims(runs, ["beat"]), "unknown claim 'beat'; did you mean 'beats'"),
        (lambda runs, _: variability.analyse(runs, "pairwise", levl=1), "levl: unknown key; did you mean 'level'"),
        (lambda runs, _: variability.analyse(runs, "pairwise", level=2), "level: 2 is too large"),
        (lambda runs, _: variability.draw(runs, "intervals", dpi=1), "dpi: 1 is too small"),
        (
            lambda runs, _: variability.draw(runs, "intervals", font="No Such"),
            "the font 'No Such' is not installed here",
        ),
        (lambda runs, _: variability.claims(runs, {"beats": {"margin": -1}}), "margin: -1 is too small"),
        (lambda runs, _: variability.analyse(runs, "churn"), "churn needs the predictions of the runs, which a table"),
        (lambda runs, _: variability.draw(runs, "learning_curves"), "learning_curves needs the history of the runs"),
        (lambda runs, _: variability.analyse(runs.drop(columns="label"), "spread"), "no column 'label' of a runs tab"),
        (lambda _, study: variability.analyse(study / "analyse", "spread"), "not the folder of a finished study"),
        (
            lambda _, study: variability.analyse(study.parent / "other", "spread"),
            "no file or folder .*/other; finished studies in .*/results: my-study$",
        ),
        (
            lambda _, study: variability.claims(study.parent),
            "; finished studies in it: my-study$",
        ),
        (lambda _, study: variability.analyse(study / "other", "spread"), "results/<study>, or name a table of runs"),
        (lambda runs, _: variability.nothing, "has no attribute 'nothing'"),
    ],
)
def test_what_cannot_be_answered_is_explained(study, runs, call, message):
    with pytest.raises((UserError, AttributeError), match=message):
        call(runs, study)


@pytest.mark.parametrize(
    ("analysis", "needed"),
    [
        ("decisions", "two models or methods with values of the primary metric on the same task"),
        ("pairwise", "two models or methods"),
        ("gain", r"values from before fine-tuning \(phase `before`\), linear probes"),
        ("overall", "more than one task and two models or methods on the same task"),
        ("nondeterminism", "repeated runs"),
    ],
)
def test_an_empty_table_says_what_is_missing(analysis, needed):
    alone = pd.DataFrame({"model": ["a"] * 3, "seed": [0, 1, 2], "accuracy": [0.8, 0.81, 0.82]})
    with pytest.warns(UserWarning, match=f"^{analysis} has no row: it needs {needed}.*, which these runs do not have$"):
        assert variability.analyse(alone, analysis).empty


def test_every_analysis_without_rows_gives_a_reason():
    alone = pd.DataFrame({"model": ["a"], "seed": [0], "accuracy": [0.8]})
    for name in synthetic.ANALYSES:
        if set(registry.find("analyses", name).NEEDS) == {"runs"}:
            with warnings.catch_warnings(record=True) as messages:
                warnings.simplefilter("always")
                empty = variability.analyse(alone, name).empty
            assert [str(one.message).startswith(f"{name} has no row: it needs") for one in messages] == [True] * empty


def test_a_folder_without_records_is_unfinished(study, tmp_path):
    (tmp_path / "aggregate").mkdir()
    synthetic.runs().to_parquet(tmp_path / "aggregate/runs.parquet")
    with pytest.raises(UserError, match="no record of analyse, so the study is not finished"):
        variability.analyse(tmp_path, "spread")


def test_a_changed_table_of_a_study_is_refused(study):
    path = study / "analyse/pairwise.csv"
    text = path.read_text()
    path.write_text(text.replace("a", "z"))
    try:
        with pytest.raises(UserError, match=r"pairwise\.csv is not the file that analyse wrote"):
            variability.analyse(study, "pairwise")
    finally:
        path.write_text(text)


def test_an_interpreter_completes_the_functions():
    assert {"analyse", "claims", "draw", "load_run", "read_runs"} <= set(dir(variability))
