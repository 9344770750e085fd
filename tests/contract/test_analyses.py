"""Tests of all analyses: every row states n, estimator, interval, level, ddof and scope, in any study."""

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
from variability.io import spreadsheet_text
from variability.results import analysis_tables

pytestmark = pytest.mark.slow

NAMES = registry.names("analyses")
STATED = ("n", "estimator", "interval", "level", "scope")
FAILED = {("vit", "digits", "full", 1), ("vit", "digits", "full", 3)}


def failing(*, models=("a", "b"), seeds=range(5)):
    return {(model, "digits", "full", seed) for model in models for seed in seeds}


STUDIES = {
    "typical": {"models": ("cnn", "cnn-scratch", "vit"), "tasks": ("digits", "letter-case"), "failed": FAILED},
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


#: Studies that reveal most errors of a new analysis.
FIRST = ("typical", "one run", "no spread", "a cell without a completed run", "no completed run")
ALL_STUDIES = [pytest.param(name, marks=() if name in FIRST else pytest.mark.slow) for name in STUDIES]


@pytest.fixture(scope="module")
def studies():
    return {name: synthetic.base_tables(**study) for name, study in STUDIES.items()}


@pytest.fixture(scope="module")
def answers(studies):
    """Return the table of every analysis of every study, computed once for all tests that only inspect it."""
    return cache(lambda name, study: table(name, studies[study]))


@pytest.fixture(scope="module")
def typical(studies):
    return studies["typical"]


def table(name, tables, **options):
    analysis = registry.find("analyses", name)
    # Few resamples: these tests do not depend on their number.
    few = {"resamples": 200} if "resamples" in analysis.OPTIONS else {}
    return analysis(few | options).table(tables)


def in_order(result):
    """Return the rows sorted by their keys, so that their order does not matter."""
    keys = [column for column in result if not pd.api.types.is_float_dtype(result[column])]
    return result.sort_values(keys, ignore_index=True, key=lambda column: column.astype(str), kind="stable")


@pytest.mark.parametrize("study", ALL_STUDIES)
@pytest.mark.parametrize("name", NAMES)
def test_every_row_states_how_it_was_computed(name, study, answers):
    result = answers(name, study)
    for column in STATED:
        assert result[column].notna().all(), column
        assert not (result[column].astype(str) == "").any(), column
    assert "ddof" in result


@pytest.mark.parametrize("study", ALL_STUDIES)
@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_finite_or_missing_and_intervals_are_in_order(name, study, answers):
    result = answers(name, study)
    assert not np.isinf(result.select_dtypes("number").to_numpy(dtype=float)).any()
    for low in [column for column in result if column == "low" or column.endswith("_low")]:
        high = low.removesuffix("low") + "high"
        both = result[low].notna() & result[high].notna()
        assert (result.loc[both, low] <= result.loc[both, high]).all(), low
    for column in [column for column in result if column == "p" or column.startswith("p_")]:
        values = result[column].dropna()
        assert values.between(0, 1).all(), column


@pytest.mark.parametrize("name", NAMES)
def test_the_typical_study_has_an_answer(name, answers):
    if name != "nondeterminism":  # it has no repeated run
        assert len(answers(name, "typical"))


@pytest.mark.parametrize("name", NAMES)
def test_imported_runs_without_further_facts(name):
    analysis = registry.find("analyses", name)
    if set(analysis.NEEDS) != {"runs"}:
        pytest.skip(f"reads {analysis.NEEDS}, which imported runs do not have")
    runs = synthetic.as_imported(synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters")))
    result = table(name, {"runs": runs})
    assert result["scope"].str.contains("import").all()


@pytest.mark.parametrize("name", NAMES)
def test_a_second_run_gives_a_bit_identical_table(name, typical, answers):
    pd.testing.assert_frame_equal(table(name, typical), answers(name, "typical"), check_exact=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_runs_does_not_matter(name, typical, answers):
    shuffled = typical | {"runs": typical["runs"].sample(frac=1, random_state=0)}
    expected = in_order(answers(name, "typical"))
    pd.testing.assert_frame_equal(in_order(table(name, shuffled)), expected, check_exact=False, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_input_tables_are_not_modified(name, typical):
    before = typical["runs"].copy()
    table(name, typical)
    pd.testing.assert_frame_equal(typical["runs"], before)


@pytest.mark.parametrize("name", [name for name in NAMES if "level" in registry.find("analyses", name).OPTIONS])
def test_the_level_is_configurable(name, typical):
    assert (table(name, typical, level=0.5)["level"] == 0.5).all()


@pytest.mark.parametrize("name", [name for name in NAMES if "seed" in registry.find("analyses", name).OPTIONS])
def test_resampling_is_seeded_by_the_option(name, typical):
    first, again, other = (table(name, typical, seed=seed, resamples=200) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    # All sign flips of a few tasks are enumerated.
    assert first.equals(other) == (name == "overall")


@pytest.mark.parametrize("name", NAMES)
def test_the_csv_reads_back_exactly(name, answers, tmp_path):
    result = answers(name, "typical")
    analysis_tables.write(result, tmp_path / "table.csv")
    pd.testing.assert_frame_equal(
        analysis_tables.read(tmp_path / "table.csv"), result, check_exact=True, check_dtype=False
    )


@pytest.mark.parametrize("study", ALL_STUDIES)
@pytest.mark.parametrize("name", NAMES)
def test_no_text_looks_like_a_formula(name, study, answers):
    # Names are plain here, so an apostrophe in front of a cell of the CSV could only come from the analysis itself.
    texts = {
        value for column in answers(name, study) for value in answers(name, study)[column] if isinstance(value, str)
    }
    assert {text for text in texts if spreadsheet_text.guarded(text) != text} == set()


@pytest.mark.parametrize("name", NAMES)
def test_the_caption_describes_the_analysis(name):
    caption = registry.find("analyses", name).CAPTION
    assert 80 <= len(caption) <= 400 and caption.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_options_are_a_schema_whose_defaults_it_accepts(name):
    for schema in registry.find("analyses", name).OPTIONS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        if "default" in schema:
            jsonschema.validate(schema["default"], schema)


def test_analyses_are_listed_without_heavy_imports():
    code = (
        "import sys; from variability import registry\n"
        "for family in ('analyses', 'plots'): [registry.find(family, name) for name in registry.names(family)]\n"
        "assert not {'torch', 'sklearn', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules), sys.modules"
    )
    library = Path(sys.modules["variability"].__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(library)})
