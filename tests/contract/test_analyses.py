"""Every analysis says n, estimator, interval, level, ddof and scope, and has an answer to the most awkward studies."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry

NAMES = registry.names("analyses")
SAID = ("n", "estimator", "interval", "level", "scope")
FAILED = {("vit", "digits", "full", 1), ("vit", "digits", "full", 3)}


def failing(*, models=("a", "b"), seeds=range(5)):
    return {(model, "digits", "full", seed) for model in models for seed in seeds}


STUDIES = {
    "usual": {"models": ("cnn", "cnn-scratch", "vit"), "tasks": ("digits", "letter-case"), "failed": FAILED},
    "one run": {"models": ("a",), "methods": ("full",), "seeds": (0,)},
    "one seed": {"seeds": (0,), "tasks": ("digits", "letter-case")},
    "two seeds": {"seeds": (0, 1)},
    "one cell": {"models": ("a",), "methods": ("full",)},
    "no spread": {"sd": 0.0},
    "a cell without a completed run": {"failed": failing(models=("a",))},
    "a cell with one completed run": {"failed": failing(models=("a",), seeds=range(4))},
    "no completed run": {"methods": ("full",), "failed": failing()},
    "rankings": {"kind": "ranking", "models": ("cnn", "cnn-scratch"), "failed": {("cnn", "digits", "full", 1)}},
    "many tasks": {"tasks": tuple(f"task{at}" for at in range(6)), "models": ("a", "b", "c", "d")},
}


#: Those that find most of what is wrong with a new analysis.
FIRST = ("usual", "one run", "no spread", "a cell without a completed run", "no completed run")
EACH = [pytest.param(name, marks=() if name in FIRST else pytest.mark.slow) for name in STUDIES]


@pytest.fixture(scope="module")
def studies():
    return {name: synthetic.base_tables(**study) for name, study in STUDIES.items()}


@pytest.fixture(scope="module")
def answers(studies):
    """The table of every analysis of every study, made once for all that only look at it."""
    return cache(lambda name, study: table(name, studies[study]))


@pytest.fixture(scope="module")
def usual(studies):
    return studies["usual"]


def table(name, tables, **options):
    analysis = registry.find("analyses", name)
    # Few resamples: what is asked here does not depend on their number.
    few = {"resamples": 200} if "resamples" in analysis.OPTIONS else {}
    return analysis(few | options).table(tables)


def in_order(found):
    """Rows by what they are about, whatever order they came in."""
    keys = [column for column in found if not pd.api.types.is_float_dtype(found[column])]
    return found.sort_values(keys, ignore_index=True, key=lambda column: column.astype(str), kind="stable")


@pytest.mark.parametrize("study", EACH)
@pytest.mark.parametrize("name", NAMES)
def test_every_row_says_how_it_was_reckoned(name, study, answers):
    found = answers(name, study)
    for column in SAID:
        assert found[column].notna().all(), column
        assert not (found[column].astype(str) == "").any(), column
    assert "ddof" in found


@pytest.mark.parametrize("study", EACH)
@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_finite_or_missing_and_intervals_are_in_order(name, study, answers):
    found = answers(name, study)
    assert not np.isinf(found.select_dtypes("number").to_numpy(dtype=float)).any()
    for low in [column for column in found if column == "low" or column.endswith("_low")]:
        high = low.removesuffix("low") + "high"
        both = found[low].notna() & found[high].notna()
        assert (found.loc[both, low] <= found.loc[both, high]).all(), low
    for column in [column for column in found if column == "p" or column.startswith("p_")]:
        values = found[column].dropna()
        assert values.between(0, 1).all(), column


@pytest.mark.parametrize("name", NAMES)
def test_the_usual_study_has_an_answer(name, answers):
    if name != "nondeterminism":  # it has no run that was made twice
        assert len(answers(name, "usual"))


@pytest.mark.parametrize("name", NAMES)
def test_runs_from_elsewhere_of_which_nothing_else_is_known(name):
    analysis = registry.find("analyses", name)
    if set(analysis.NEEDS) != {"runs"}:
        pytest.skip(f"reads {analysis.NEEDS}, which imported runs do not have")
    runs = synthetic.as_imported(synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters")))
    found = table(name, {"runs": runs})
    assert found["scope"].str.contains("import").all()


@pytest.mark.parametrize("name", NAMES)
def test_a_second_time_gives_the_same_table_bit_for_bit(name, usual, answers):
    pd.testing.assert_frame_equal(table(name, usual), answers(name, "usual"), check_exact=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_runs_does_not_matter(name, usual, answers):
    shuffled = usual | {"runs": usual["runs"].sample(frac=1, random_state=0)}
    expected = in_order(answers(name, "usual"))
    pd.testing.assert_frame_equal(in_order(table(name, shuffled)), expected, check_exact=False, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_it_is_given_stay_as_they_are(name, usual):
    before = usual["runs"].copy()
    table(name, usual)
    pd.testing.assert_frame_equal(usual["runs"], before)


@pytest.mark.parametrize("name", [name for name in NAMES if "level" in registry.find("analyses", name).OPTIONS])
def test_the_level_is_the_users(name, usual):
    assert (table(name, usual, level=0.5)["level"] == 0.5).all()


@pytest.mark.parametrize("name", [name for name in NAMES if "seed" in registry.find("analyses", name).OPTIONS])
def test_resampling_is_seeded_by_the_option(name, usual):
    first, again, other = (table(name, usual, seed=seed, resamples=200) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not first.equals(other)


@pytest.mark.parametrize("name", NAMES)
def test_the_csv_reads_back_exactly(name, answers, tmp_path):
    found = answers(name, "usual")
    found.to_csv(tmp_path / "table.csv", index=False)
    read = pd.read_csv(tmp_path / "table.csv")
    for column in found.select_dtypes("float"):
        assert np.array_equal(read[column], found[column], equal_nan=True), column


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_says_in_the_report_what_it_asks(name):
    caption = registry.find("analyses", name).CAPTION
    assert 80 <= len(caption) <= 400 and caption.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_options_are_a_schema_whose_defaults_it_accepts(name):
    for schema in registry.find("analyses", name).OPTIONS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        if "default" in schema:
            jsonschema.validate(schema["default"], schema)


def test_analyses_are_known_without_heavy_imports():
    code = (
        "import sys; from variability import registry\n"
        "for family in ('analyses', 'plots'): [registry.find(family, name) for name in registry.names(family)]\n"
        "assert not {'torch', 'sklearn', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules), sys.modules"
    )
    library = Path(sys.modules["variability"].__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(library)})
