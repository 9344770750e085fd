"""Tables as people have them, brought to the runs table."""

import json

import numpy as np
import pytest

from variability.config import import_checks
from variability.errors import UserError
from variability.results import imported_files
from variability.results.imported_runs import read_all, read_imports

COLUMNS = {"model": "m", "seed": "s"}
ACC = {"acc": {"metric": "accuracy"}}


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def runs(folder, spec, path="runs.csv", tasks=None):
    """Return the runs table of files, after the check of the description has found no problem."""
    files = imported_files.find({"path": str(folder / path)})
    assert not list(import_checks.check_columns(spec, imported_files.header(files, spec)))
    (table,), _ = read_imports({"own": imported_files.read(files, spec)}, {"own": spec}, tasks or {}, {})
    return table


def values(table):
    """Return {(model, task, seed): value} of the primary metric."""
    primary = table[table["primary"]]
    keys = primary[["model", "task", "seed"]].itertuples(index=False, name=None)
    return dict(zip(keys, primary["value"], strict=True))


def test_one_file_per_run_with_the_run_in_its_name(tmp_path):
    pattern = r"(?P<model>.+)_seed(?P<seed>\d+)\.json"
    write(
        tmp_path,
        {
            f"runs/{model}_seed{seed}.json": json.dumps({"eval": {"acc": 0.5 + seed / 10}})
            for model in "ab"
            for seed in (0, 3)
        },
    )
    spec = {"from_path": pattern, "metrics": {"eval.acc": {"metric": "accuracy"}}}
    expected = {(model, "task", seed): 0.5 + seed / 10 for model in "ab" for seed in (0, 3)}
    assert values(runs(tmp_path, spec, "runs/*.json")) == expected
    assert values(runs(tmp_path, spec, "runs")) == expected, "a folder"
    write(tmp_path, {"runs/notes.json": "{}"})
    with pytest.raises(UserError, match=r"`from_path` does not match notes\.json; change it, or the pattern in `path`"):
        runs(tmp_path, spec, "runs")


def test_the_name_is_relative_to_the_fixed_part_of_a_pattern(tmp_path):
    write(tmp_path, {"out_1/net-4/log.csv": "acc\n0.5\n", "out_1/net-5/log.csv": "acc\n0.6\n"})
    spec = {"from_path": "(?P<model>.+)-(?P<seed>[0-9]+)/", "metrics": ACC}
    assert values(runs(tmp_path, spec, "out_1/*/log.csv")) == {("net", "task", 4): 0.5, ("net", "task", 5): 0.6}


def test_a_folder_of_several_kinds_of_tables_is_refused(tmp_path):
    write(tmp_path, {"runs/a.csv": "m,s,acc\na,0,1\n", "runs/a.json": "{}"})
    with pytest.raises(UserError, match=r"several kinds \(\.csv, \.json\); choose by a pattern"):
        imported_files.find({"path": str(tmp_path / "runs")})
    with pytest.raises(UserError, match="no file matches"):
        imported_files.find({"path": str(tmp_path / "runs/*.tsv")})


def test_folders_behind_links_are_searched_once(tmp_path):
    write(tmp_path, {"of_a/runs.csv": "m,s,acc\na,0,0.5\n", "of_b/runs.csv": "m,s,acc\nb,0,0.6\n"})
    (tmp_path / "runs").mkdir()
    for link, target in (("a", "of_a"), ("b", "of_b"), ("c", "of_b"), ("self", "runs")):
        (tmp_path / "runs" / link).symlink_to(tmp_path / target)
    spec = {"columns": COLUMNS, "metrics": ACC}
    assert values(runs(tmp_path, spec, "runs")) == {("a", "task", 0): 0.5, ("b", "task", 0): 0.6}
    assert values(runs(tmp_path, spec, "runs/**/*.csv")) == {("a", "task", 0): 0.5, ("b", "task", 0): 0.6}


def test_mistakes_in_several_files_are_listed_with_their_files(tmp_path):
    write(tmp_path, {"a.csv": "m,s,acc\na,0,x\n", "b.csv": "m,s,acc\nb,0,0.5\nb,1,y\nb,2,z\n"})
    with pytest.raises(UserError, match=r"a\.csv, line 2; b\.csv, lines 3, 4: the value 'x' is not a number \(3 such"):
        runs(tmp_path, {"columns": COLUMNS, "metrics": ACC}, "*.csv")


def test_one_column_per_task_with_its_own_metric_or_one_for_all(tmp_path):
    write(tmp_path, {"runs.csv": "m,s,cola,rte\na,0,0.4,0.7\na,1,-0.1,\n"})
    spec = {"columns": COLUMNS}
    spec["metrics"] = {"cola": {"metric": "mcc", "task": "CoLA"}, "rte": {"metric": "accuracy", "task": "RTE"}}
    table = runs(tmp_path, spec)
    assert values(table) == {
        **{("a", "CoLA", 0): 0.4, ("a", "RTE", 0): 0.7, ("a", "CoLA", 1): -0.1},
        ("a", "RTE", 1): pytest.approx(np.nan, nan_ok=True),
    }
    assert table.query("task == 'RTE'")["status"].tolist() == ["completed", "failed"]
    one = {"columns": COLUMNS, "tasks": {"cola": "CoLA", "rte": "RTE"}, "constants": {"metric": "mcc"}}
    assert set(runs(tmp_path, one)["metric"]) == {"mcc"}
    assert values(runs(tmp_path, one))["a", "RTE", 0] == 0.7


def test_levels_of_further_factors_are_added_to_the_names_of_methods(tmp_path):
    text = "m,s,shots,prompt,acc\n" + "".join(
        f"a,{seed},{shots},{prompt},0.{shots}\n" for seed in (0, 1) for shots, prompt in ((1, "in short"), (5, ""))
    )
    write(tmp_path, {"runs.csv": text})
    spec = {"columns": COLUMNS, "metrics": ACC, "factors": {"shots": "shots", "prompt": "prompt"}}
    table = runs(tmp_path, spec)
    assert set(table["method"]) == {"fine-tuned shots=1 prompt=in_short", "fine-tuned shots=5 prompt=none"}
    wrong = spec | {"factors": {"shots": "shot", "model": "m"}}
    files = imported_files.find(wrong | {"path": str(tmp_path / "runs.csv")})
    problems = {
        each.key: each.message for each in import_checks.check_columns(wrong, imported_files.header(files, wrong))
    }
    assert "did you mean" in problems["factors.shots"]
    assert "holds something else" in problems["factors.model"]


def test_one_column_per_model(tmp_path):
    write(tmp_path, {"runs.csv": "s,resnet,vit\n0,0.5,0.6\n1,0.7,0.8\n"})
    spec = {"columns": {"seed": "s"}, "models": {"resnet": "ResNet", "vit": "ViT"}, "constants": {"metric": "accuracy"}}
    assert values(runs(tmp_path, spec)) == {
        **{("ResNet", "task", 0): 0.5, ("ResNet", "task", 1): 0.7},
        **{("ViT", "task", 0): 0.6, ("ViT", "task", 1): 0.8},
    }


def test_two_columns_are_one_metric_if_no_row_has_both(tmp_path):
    spec = {"columns": COLUMNS | {"task": "t"}, "metrics": {"a": {"metric": "accuracy"}, "b": {"metric": "accuracy"}}}
    write(tmp_path, {"runs.csv": "m,t,s,a,b\nx,p,0,0.5,\nx,q,0,,0.7\n"})
    assert values(runs(tmp_path, spec)) == {("x", "p", 0): 0.5, ("x", "q", 0): 0.7}
    write(tmp_path, {"runs.csv": "m,t,s,a,b\nx,p,0,0.5,\nx,q,0,0.6,0.7\n"})
    with pytest.raises(UserError, match=r"line 3: the columns a and b both have a value of accuracy \(test, after\)"):
        runs(tmp_path, spec)


def test_rows_are_chosen_by_their_values(tmp_path):
    text = "m,s,set,epoch,acc\na,0,train,1,0.9\na,0,eval,1,0.5\na,0,eval,2.0,0.6\na,mean,eval,2,0.6\n"
    write(tmp_path, {"runs.csv": text})
    spec = {"columns": COLUMNS, "metrics": ACC, "where": {"set": "eval", "epoch": [2]}, "where_not": {"s": "mean"}}
    assert values(runs(tmp_path, spec)) == {("a", "task", 0): 0.6}
    with pytest.raises(UserError, match=r"own: where: no row has set 'evl'; did you mean 'eval'\?"):
        runs(tmp_path, spec | {"where": {"set": "evl"}})
    problems = import_checks.check_columns(spec | {"where": {"sett": 1}}, ["m", "s", "set", "epoch", "acc"])
    assert [problem.key for problem in problems] == ["where.sett"]


LOG = """\
{"step": 10, "loss": 1.5}
{"step": 10, "eval_acc": 0.5, "eval_loss": 0.9}
{"step": 20, "eval_acc": 0.8, "eval_loss": 0.7}
{"step": 30, "eval_acc": 0.7, "eval_loss": 0.6}
{"step": 30, "train_runtime": 12.0}
"""
OF_LOG = {
    "from_path": r"(?P<model>.+)_(?P<seed>\d+)",
    "metrics": {"eval_acc": {"metric": "accuracy"}, "eval_loss": {"metric": "nll"}},
}


@pytest.mark.parametrize(
    ("keep", "accuracy", "loss"),
    [
        ({"keep": "last"}, 0.7, 0.6),
        ({"keep": "best"}, 0.8, 0.7),
        ({"keep": "best", "keep_by": "eval_loss"}, 0.7, 0.6),
        ({"where": {"step": 10}, "keep": "last"}, 0.5, 0.9),
    ],
)
def test_one_row_of_a_learning_curve_is_kept(keep, accuracy, loss, tmp_path):
    write(tmp_path, {"net_3.jsonl": LOG})
    table = runs(tmp_path, OF_LOG | keep, "net_3.jsonl")
    assert dict(zip(table["metric"], table["value"], strict=True)) == {"accuracy": accuracy, "nll": loss}
    assert set(table["status"]) == {"completed"} and len(table) == 2
    with pytest.raises(UserError, match="`keep: last` or `keep: best` if they are steps or reruns"):
        runs(tmp_path, OF_LOG, "net_3.jsonl")


def test_the_best_step_is_chosen_on_validation_rows_and_tested_on_its_test_row(tmp_path):
    write(
        tmp_path,
        {
            "runs.csv": "m,s,split,epoch,acc\n"
            "a,0,val,1,0.6\na,0,val,2,0.8\na,0,val,3,0.7\na,0,test,1,0.5\na,0,test,2,0.55\na,0,test,3,0.9\n"
            "a,1,val,1,0.9\na,1,test,1,0.4\na,1,val,2,0.1\na,1,test,2,0.95\n"
        },
    )
    spec = {"columns": COLUMNS | {"split": "split"}, "metrics": ACC, "keep": "best"}
    table = runs(tmp_path, spec)
    of_split = {(row.split, row.seed): row.value for row in table.itertuples()}
    assert of_split == {("validation", 0): 0.8, ("test", 0): 0.55, ("validation", 1): 0.9, ("test", 1): 0.4}
    text = (tmp_path / "runs.csv").read_text(encoding="utf-8")
    (tmp_path / "runs.csv").write_text(text.replace("epoch", "nr"), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"lines 5, 6, 7, 9, 11: `keep: best` would leave out .* seed 0 .*a column called epoch"
    ):
        runs(tmp_path, spec)


def test_a_test_value_that_is_not_in_the_best_row_is_not_lost(tmp_path):
    write(tmp_path, {"runs.csv": "m,s,epoch,val,acc\na,0,1,0.9,\na,0,2,0.8,\na,0,3,,0.7\n"})
    metrics = {"val": {"metric": "accuracy", "split": "validation"}} | ACC
    spec = {"columns": COLUMNS, "metrics": metrics, "keep": "best"}
    with pytest.raises(UserError, match=r"line 4: `keep: best` would leave out .* has no value of its test split"):
        runs(tmp_path, spec)
    (tmp_path / "runs.csv").write_text("m,s,epoch,val,acc\na,0,1,0.9,\na,0,1,,0.7\na,0,2,0.8,\n", encoding="utf-8")
    assert sorted(runs(tmp_path, spec)["value"].dropna()) == [0.7, 0.9]


def test_rows_cannot_be_chosen_by_the_metric_of_another_task(tmp_path):
    write(tmp_path, {"runs.csv": "m,s,cola,rte\na,0,0.9,0.5\na,0,0.8,0.6\n"})
    metrics = {name: {"metric": "accuracy", "task": name} for name in ("cola", "rte")}
    with pytest.raises(
        UserError, match=r"lines 2, 3: .* by the column 'cola', which has no value for model a, task rte"
    ):
        runs(tmp_path, {"columns": COLUMNS, "metrics": metrics, "keep": "best"})


def test_the_last_row_that_is_not_the_last_step_is_refused(tmp_path):
    spec = {"columns": COLUMNS, "metrics": ACC, "keep": "last"}
    write(tmp_path, {"runs.csv": "m,s,_step,acc\na,0,2,0.7\na,0,1,0.5\na,1,1,0.6\na,1,2,0.8\na,1,3,\n"})
    with pytest.raises(
        UserError, match=r"line 3: .* has _step 1, and an earlier one a larger _step; set `keep_by: _step`"
    ):
        runs(tmp_path, spec)
    assert values(runs(tmp_path, spec | {"keep_by": "_step"})) == {("a", "task", 0): 0.7, ("a", "task", 1): 0.8}
    # A rerun that was appended, and a column that is none of steps.
    for steps in ((1, 2, 1, 2), ("x", "b", "a", "a")):
        lines = [f"a,0,{step},0.{number}" for number, step in enumerate(steps)]
        write(tmp_path, {"runs.csv": "\n".join(["m,s,epoch,acc", *lines, ""])})
        assert values(runs(tmp_path, spec)) == {("a", "task", 0): 0.3}


def test_reruns_are_kept_in_the_order_of_their_start(tmp_path):
    # W&B lists the newest run first.
    text = (
        "Created,State,m,s,acc\n2026-01-03T00:00:00Z,finished,a,0,0.7\n2026-01-02T00:00:00Z,crashed,a,0,\n"
        "2026-01-01T00:00:00Z,finished,a,1,0.8\n2026-01-04T00:00:00Z,failed,a,1,0.1\n"
    )
    write(tmp_path, {"runs.csv": text})
    spec = {"format": "wandb", "columns": COLUMNS, "metrics": ACC, "keep": "last"}
    table = runs(tmp_path, spec)
    assert list(table["status"]) == ["completed", "failed"] and table["value"].tolist()[0] == 0.7


def test_the_primary_metric_is_the_first_listed_whatever_the_order_of_the_keys(tmp_path):
    write(tmp_path, {"runs.csv": "m,s,b,a\nx,0,1,2\n"})
    metrics = {"a": {"higher_is_better": True}, "b": {"higher_is_better": True}}
    spec = {"columns": COLUMNS, "metrics": metrics, "metrics_order": ["b", "a"]}
    assert runs(tmp_path, spec).query("primary")["metric"].tolist() == ["b"]


def test_imports_share_the_primary_metric_of_a_task(tmp_path):
    write(tmp_path, {"z.csv": "m,s,acc\na,0,0.5\n", "a.csv": "m,s,auc,acc\nb,0,0.6,0.7\n"})
    auc = {"auc": {"higher_is_better": True}}
    imports = {
        "a": {"columns": COLUMNS, "metrics": auc | ACC, "metrics_order": ["auc", "acc"], "position": 1},
        "z": {"columns": COLUMNS, "metrics": ACC, "position": 0},
    }
    spec = {"imports": imports, "tasks": {}, "grid": {}}
    tables, _, _ = read_all({"a": [tmp_path / "a.csv"], "z": [tmp_path / "z.csv"]}, spec)
    assert [table.query("primary")["metric"].tolist() for table in tables] == [["accuracy"], ["accuracy"]]
    imports["z"]["position"] = 2
    with pytest.raises(UserError, match="z: no run of task task has a value of its primary metric 'auc', only"):
        read_all({"a": [tmp_path / "a.csv"], "z": [tmp_path / "z.csv"]}, spec)


def test_files_whose_names_have_braces_are_no_inputs_and_keep_their_position():
    imports = {"x": {"names": ["a.csv", "b{0}.csv"]}, "y": {"names": ["c.csv"]}}
    files = imported_files.by_import(imports, ["f/a.csv", "f/c.csv"], [(1, "f/b{0}.csv")])
    assert {name: [str(path) for path in paths] for name, paths in files.items()} == {
        "x": ["f/a.csv", "f/b{0}.csv"],
        "y": ["f/c.csv"],
    }


def test_metrics_and_numbers_of_examples_may_be_constants_of_tasks(tmp_path):
    constants = {"metric": {"CoLA": "mcc", "RTE": "accuracy"}, "n_test": {"CoLA": 1043, "RTE": 277}}
    expected = [("CoLA", "mcc", 0.25, 1043), ("RTE", "accuracy", 0.5, 277)]
    write(tmp_path, {"wide.csv": "m,s,cola,rte\na,0,0.25,0.5\n", "long.csv": "m,s,t,v\na,0,CoLA,0.25\na,0,RTE,0.5\n"})
    wide = {"columns": COLUMNS, "tasks": {"cola": "CoLA", "rte": "RTE"}}
    long = {"columns": COLUMNS | {"task": "t", "value": "v"}}
    for path, spec in (("wide.csv", wide), ("long.csv", long)):
        table = runs(tmp_path, spec | {"constants": constants}, path)
        assert list(table[["task", "metric", "value", "n_test"]].itertuples(index=False, name=None)) == expected
