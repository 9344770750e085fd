"""Columns that tell by their names what they hold."""

import pytest

from variability.results import imported_runs, named_columns

ROLES = ["model", "seed", "method", "metric", "value", "status"]
NAMES = ["model", "seed", "accuracy", "method", "metric", "value", "status", "lr", "probabilities"]


def test_columns_called_like_roles_have_them_unless_the_import_uses_them():
    assert named_columns.roles(NAMES, {}) == {
        role: role for role in NAMES if role not in ("accuracy", "lr", *NAMES[8:])
    }
    spec = {"columns": {"model": "method"}, "constants": {"metric": "nll"}, "factors": {"lr": "value"}}
    assert named_columns.roles(NAMES, spec) == {"seed": "seed", "status": "status"}
    # The format names the column of the status.
    assert "status" not in named_columns.roles([*NAMES, "State"], {"format": "wandb"})


def test_examples_have_roles_of_their_own():
    assert set(named_columns.roles(NAMES, {"examples": "classification"})) == {
        *("model", "seed", "method", "metric", "probabilities")
    }
    columns = {"examples": "classification", "probabilities": {"p_no": "no"}}
    assert "probabilities" not in named_columns.roles(NAMES, columns)


def test_metrics_need_a_direction():
    facts = imported_runs.metric_facts({"metrics": {"mine": {"higher_is_better": False}, "other": None}})
    assert named_columns.metrics(["mine", "other", "nll", "lr"], facts) == ["mine", "nll"]


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("test/accuracy", {"metric": "accuracy"}),
        ("eval_f1_macro", {"metric": "f1_macro"}),
        ("Accuracy (test)", {"metric": "accuracy"}),
        ("summary.valid.F1-Score", {"metric": "f1_score", "split": "validation"}),
        ("val_acc", {"metric": "acc", "split": "validation"}),
        ("train/accuracy", None),
        ("accuracy_std", None),
        ("best_accuracy", None),
        ("inaccuracy", None),
        ("accuracy_of_what", None),
        ("", None),
    ],
)
def test_names_of_trackers_are_proposed_as_metrics(name, entry):
    assert named_columns.proposals([name, "model"]) == ({} if entry is None else {name: entry})


def test_proposals_are_text_of_a_config():
    assert named_columns.proposed_text(["model", "test/acc", "val: mse"]) == (
        "{test/acc: {metric: acc}, 'val: mse': {metric: mse, split: validation}}"
    )
    assert named_columns.proposed_text(["model"]) == ""
