"""Files of other programs are read as those programs write them; what is missing is named."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from imported_files_support import HF, imported

from variability import registry
from variability.errors import UserError
from variability.results import imported_files, readers


@pytest.mark.parametrize("name", registry.names("readers"))
def test_a_reader_names_roles_that_exist_and_explains_a_file_of_another_program(name, tmp_path):
    from variability.results.imported_layout import EXAMPLE_ROLES, ROLES

    reader = readers.of({"format": name})
    assert {*reader.COLUMNS, *reader.CONSTANTS} <= {*ROLES, *EXAMPLE_ROLES}
    (tmp_path / "other.json").write_text('{"a": [1]}')
    if isinstance(reader, readers.WrittenReader):
        with pytest.raises((UserError, ValueError)) as refused:
            reader.table(tmp_path / "other.json")
        assert f"`format: {name}` reads" in str(refused.value)


def sample_log(folder, samples, results=None):
    """Write a sample log, with the results next to it unless they are None."""
    folder.mkdir(parents=True, exist_ok=True)
    time = "2026-01-02T03-04-05.678901"
    (folder / f"samples_gsm_{time}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in samples))
    if results is not None:
        (folder / f"results_{time}.json").write_text(json.dumps(results))
    return {"path": str(folder), "format": "lm_eval"}


def sample(number, value, **fields):
    return {"doc_id": number, "doc": {"level": "hard"}, "metrics": ["exact_match"], "exact_match": value} | fields


def test_filters_directions_and_seeds_are_those_of_the_harness(tmp_path):
    samples = [sample(row, 1.0 - row, filter=name) for row in range(2) for name in ("strict", "lax")]
    samples += [{"doc_id": row, "doc": {}, "metrics": ["odd", "ppl"], "odd": row, "ppl": -1.0} for row in range(2)]
    results = {
        "results": {"gsm": {"exact_match,strict": 0.5, "exact_match,lax": 0.5, "odd,none": 0.5, "ppl,none": 2.7}},
        "higher_is_better": {"gsm": {"exact_match": True, "odd": False, "ppl": False}},
        "configs": {"gsm": {}},
        "config": {"random_seed": 5, "numpy_seed": 5, "torch_seed": 5, "fewshot_seed": 5},
        "model_name": "org/model-1.10",
    }
    runs, _ = imported(sample_log(tmp_path / "log", samples, results) | {"primary": "exact_match,lax"})
    direction = runs.set_index("metric")["higher_is_better"].to_dict()
    assert direction == {"exact_match,strict": True, "exact_match,lax": True, "odd": False}
    assert set(runs["seed"]) == {5} and set(runs["model"]) == {"org/model-1.10"}
    assert (runs["perfect"].notna() == runs["metric"].str.startswith("exact_match")).all()


def test_a_log_without_results_is_named_after_its_folder_and_needs_the_direction_of_unknown_metrics(tmp_path):
    spec = sample_log(tmp_path / "org__m", [sample(0, 1.0), sample(1, 0.0)])
    runs, _ = imported(spec)
    assert runs[["model", "task", "seed", "value"]].to_numpy().tolist() == [["org__m", "gsm", 0, 0.5]]
    unknown = sample_log(tmp_path / "other", [{"doc_id": 0, "doc": {}, "metrics": ["odd"], "odd": 2.0}])
    with pytest.raises(UserError, match=r"'odd' is not a known metric.*`odd: \{higher_is_better: true\}`"):
        imported(unknown)
    runs, examples = imported(unknown | {"metrics": {"odd": {"higher_is_better": False}}})
    assert runs["value"].tolist() == [2.0] and not examples["higher_is_better"].any()


def test_a_sample_without_an_id_is_refused_with_its_line(tmp_path):
    spec = sample_log(tmp_path / "m", [sample(0, 1.0), {"doc": {}, "metrics": []}])
    with pytest.raises(UserError, match=r"line 2: no doc_id; `format: lm_eval` reads lines with doc_id"):
        imported(spec)


def test_the_files_that_rows_depend_on_are_files_of_the_import(tmp_path):
    spec = sample_log(tmp_path / "m", [sample(0, 1.0)], {"results": {}})
    assert [file.name.partition("_")[0] for file in imported_files.find(spec)] == ["samples", "results"]
    pattern = spec | {"path": str(tmp_path / "*/samples_*.jsonl")}
    assert [Path(file.name).parts[0] for file in imported_files.find(pattern)] == ["m", "m"]


def test_a_folder_of_a_trainer_with_a_state_alone_counts_its_last_evaluation_or_failed(tmp_path):
    history = [{"step": 5, "eval_accuracy": 0.5}, {"step": 10, "eval_accuracy": 0.75}]
    for seed, step in enumerate((10, 5)):
        folder = tmp_path / f"a-seed{seed}"
        (folder / "checkpoint-5").mkdir(parents=True)
        state = {"global_step": step, "max_steps": 10, "log_history": history[: step // 5]}
        for path in (folder, folder / "checkpoint-5"):
            (path / "trainer_state.json").write_text(json.dumps(state))
    spec = HF | {"path": str(tmp_path), "format": "hf_trainer", "metrics": {"eval_accuracy": {"metric": "accuracy"}}}
    runs, _ = imported(spec)
    assert runs["status"].tolist() == ["completed", "failed"] and runs["value"].tolist()[0] == 0.75


def test_arrays_may_be_two_files_and_one_output_is_regression(tmp_path):
    folder = tmp_path / "a-seed0"
    folder.mkdir()
    np.save(folder / "predictions.npy", np.array([[1.0], [2.0], [9.0]], np.float32))
    np.save(folder / "label_ids.npy", np.array([1.0, 4.0, -100.0], np.float32))
    runs, _ = imported(HF | {"path": str(tmp_path), "format": "hf_predictions", "examples": "regression"})
    assert runs[runs["metric"] == "mse"]["value"].tolist() == [2.0], "labels of -100 are ignored, as in the loss"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"predictions": np.zeros((3, 2))}, "has no array 'label_ids'; `format: hf_predictions` reads"),
        ({"predictions": np.zeros((3, 2)), "label_ids": np.zeros((3, 4))}, r"label_ids \(3, 4\) are not those of one"),
        ({"predictions": np.zeros((3, 2)), "label_ids": np.zeros(3, int), "group": np.zeros(2)}, "different numbers"),
    ],
)
def test_arrays_of_another_shape_are_refused(arrays, message, tmp_path):
    (tmp_path / "a-seed0").mkdir()
    np.savez(tmp_path / "a-seed0/predictions.npz", **arrays)
    with pytest.raises(UserError, match=message):
        imported(HF | {"path": str(tmp_path), "format": "hf_predictions"})


ARENA = [
    {"benchmark_id": "mbpp", "model": model, "example_id": f"mbpp/{number}", "pass1": k / 4, "count": 4, "correct": k}
    for model, counts in {"a": (0, 2, 4), "b": (1, 4, 4)}.items()
    for number, k in enumerate(counts)
]


@pytest.mark.parametrize("left_out", [(), ("count", "correct")])
def test_results_of_eval_arena_are_shares_of_attempts_with_one_run_per_model(left_out, tmp_path):
    lines = [{key: value for key, value in row.items() if key not in left_out} for row in ARENA]
    (tmp_path / "arena.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    runs, examples = imported({"path": str(tmp_path), "format": "eval_arena"})
    assert runs.set_index("model")["value"].to_dict() == {"a": 0.5, "b": 0.75} and set(runs["task"]) == {"mbpp"}
    assert examples["metric"].eq("pass_rate").all() and runs["n_test"].eq(3).all()


def inspect_log(values, model="org/m", **fields):
    """Return a log of inspect: {scorer: value} of samples in two epochs."""
    samples = [
        {
            "id": f"q{number}",
            "epoch": epoch,
            "metadata": {"topic": number % 2},
            "scores": {scorer: {"value": value, "answer": "x"} for scorer, value in scores.items()},
        }
        for epoch in (1, 2)
        for number, scores in enumerate(values)
    ]
    return {
        "version": 2,
        "status": "success",
        "eval": {"task": "org/sums", "model": model},
        "samples": samples,
    } | fields


GRADED = [{"includes": "C", "two": {"a": 0.5, "b": True}}, {"includes": "P", "two": {"a": 0.25, "b": False}}]
DIRECTIONS = {name: {"higher_is_better": True} for name in ("two/a", "two/b")}


def write_eval(path, log, method):
    """Write a log as an archive. method: of compression; zstd, which recent versions use, is unknown to zipfile."""
    header = {key: value for key, value in log.items() if key != "samples"}
    members = {"header.json": header} | {
        f"samples/{each['id']}_epoch_{each['epoch']}.json": each for each in log["samples"]
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if method == "deflate" else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, json.dumps(content))
    if method == "zstd":
        path.write_bytes(with_zstd(path.read_bytes()))


def with_zstd(stored):
    """Return an archive whose members, stored so far, are compressed by zstd: each in its place, with its headers."""
    import io
    import struct

    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        members = [(member, archive.read(member)) for member in archive.infolist()]
    body, central = b"", b""
    for member, content in members:
        packed, name = pa.compress(content, codec="zstd", asbytes=True), member.filename.encode()
        common = struct.pack("<HHHHHIIIHH", 20, 0, 93, 0, 33, member.CRC, len(packed), len(content), len(name), 0)
        central += b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\3\4" + common + name + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(central), len(body), 0)
    return body + central + b"PK\5\6" + end


@pytest.mark.parametrize("form", ["json", "deflate", "zstd"])
def test_logs_of_inspect_have_a_metric_per_scorer_and_a_seed_per_epoch(form, tmp_path):
    log = inspect_log(GRADED)
    if form == "json":
        (tmp_path / "log.json").write_text(json.dumps(log))
    else:
        write_eval(tmp_path / "log.eval", log, form)
    spec = {"path": str(tmp_path), "format": "inspect", "columns": {"group": "metadata.topic"}, "metrics": DIRECTIONS}
    runs, examples = imported(spec | {"primary": "includes"})
    first = runs[runs["seed"] == 1].set_index("metric")["value"].to_dict()
    assert first == {"includes": 0.75, "two/a": 0.375, "two/b": 0.5} and set(runs["seed"]) == {1, 2}
    assert set(runs["task"]) == {"sums"} and set(runs["model"]) == {"org/m"} and examples["group"].nunique() == 2


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ({"results": []}, "is not a log of an evaluation; `format: inspect` reads"),
        (inspect_log([]), "has no samples with scores; .*--no-log-samples"),
        (inspect_log([{"includes": [1, 2]}]), "sample 1, includes: the value .* is not one number"),
        (inspect_log([{"includes": "maybe"}]), "the score 'maybe' is not a number"),
        (inspect_log([{"includes": None}]), "no score; write that of an example without an answer"),
    ],
)
def test_logs_of_inspect_without_usable_scores_are_refused(log, message, tmp_path):
    (tmp_path / "log.json").write_text(json.dumps(log))
    with pytest.raises(UserError, match=message):
        imported({"path": str(tmp_path), "format": "inspect"})


def test_a_damaged_archive_of_inspect_is_refused(tmp_path):
    write_eval(tmp_path / "log.eval", inspect_log(GRADED), "deflate")
    content = bytearray((tmp_path / "log.eval").read_bytes())
    content[60:90] = bytes(30)
    (tmp_path / "log.eval").write_bytes(content)
    with pytest.raises(UserError, match="it is damaged"):
        imported({"path": str(tmp_path), "format": "inspect"})


def test_metrics_of_lightning_have_their_hyperparameters(tmp_path):
    for version in range(2):
        folder = tmp_path / f"version_{version}"
        folder.mkdir()
        rows = f"0,9,,1.0,\n1,19,,0.5,0.6\n1,20,0.{7 + version},,\n"
        (folder / "metrics.csv").write_text("epoch,step,test_acc,train_loss,val_acc\n" + rows)
        hyperparameters = f"arch: vit\nseed: {version}\nloss: !!python/object:torch.nn.Loss {{}}\n"
        (folder / "hparams.yaml").write_text(hyperparameters)
    metrics = {"test_acc": {"metric": "accuracy"}, "val_acc": {"metric": "accuracy", "split": "validation"}}
    columns = {"model": "hparams.arch", "seed": "hparams.seed"}
    spec = {"path": str(tmp_path), "format": "lightning", "columns": columns, "metrics": metrics}
    runs, _ = imported(spec | {"keep": "last"})
    test = runs[runs["split"] == "test"]
    assert test[["model", "seed", "value"]].to_numpy().tolist() == [["vit", 0, 0.7], ["vit", 1, 0.8]]


def test_jobs_of_hydra_have_their_overrides(tmp_path):
    for job, model in enumerate(("vit", "1.10")):
        folder = tmp_path / f"2026-01-02/03-04-05/{job}"
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra/overrides.yaml").write_text(f"- +model={model}\n- seed={job}\n- optim.lr=0.1\n- ~callbacks\n")
        (folder / "out").mkdir()
        (folder / "out/metrics.json").write_text(json.dumps({"accuracy": 0.5 + job / 10}))
    spec = {"path": str(tmp_path), "format": "hydra", "columns": {"model": "model", "seed": "seed"}}
    runs, _ = imported(spec | {"metrics": {"accuracy": None}})
    assert runs[["model", "seed", "value"]].to_numpy().tolist() == [["1.10", 1, 0.6], ["vit", 0, 0.5]]
    assert len(imported_files.find(spec)) == 4, "an edited override is a change of the import"


def test_keys_that_hydra_deletes_have_no_value(tmp_path):
    overrides = ["- model=vit\n- seed=0\n- sched=cosine\n- ~sched=cosine\n", "- model=vit\n- seed=1\n- sched=step\n"]
    for job, text in enumerate([*overrides, "- model=vit\n- seed=2\n- ~sched=cosine\n"]):
        folder = tmp_path / str(job)
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra/overrides.yaml").write_text(text)
        (folder / "metrics.json").write_text(json.dumps({"accuracy": 0.5}))
    spec = {"path": str(tmp_path), "format": "hydra", "columns": {"model": "model", "seed": "seed"}}
    runs, _ = imported(spec | {"factors": {"schedule": "sched"}, "metrics": {"accuracy": None}})
    levels = runs["method"].str.partition("=")[2]
    assert dict(zip(runs["seed"], levels, strict=True)) == {0: "none", 1: "step", 2: "none"}


def harness_results(folder, model, scores, **keys):
    """Write the results of lm-evaluation-harness. scores: {task: {metric,filter: value}}."""
    document = {
        "results": {task: {"alias": task, **values} for task, values in scores.items()},
        "higher_is_better": {task: {"acc": True, "word_perplexity": False} for task in scores},
        "n-samples": {task: {"original": 200, "effective": 100} for task in scores},
        "config": {"random_seed": 7, "numpy_seed": 7, "torch_seed": 7, "fewshot_seed": 7},
        **{"model_name": model, "n-shot": dict.fromkeys(scores, 5), **keys},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results_2026-01-02T03-04-05.678.json"
    path.write_text(json.dumps(document))
    return path


def test_results_of_the_harness_are_runs_with_standard_errors(tmp_path):
    arc = {"acc,none": 0.5, "acc_stderr,none": 0.05, "acc_norm,none": 0.6, "acc_norm_stderr,none": "N/A"}
    text = {"word_perplexity,none": 12.5, "word_perplexity_stderr,none": "N/A", "acc,strict": 0.25, "acc,none": 0.5}
    harness_results(tmp_path / "a", "org/a", {"arc": arc, "text": text, "both": {"acc,none": 0.5}}, groups={"both": {}})
    spec = {
        "path": str(tmp_path),
        "format": "lm_eval_results",
        "where": {"metric": ["acc", "acc,strict", "word_perplexity"]},
    }
    runs, examples = imported(spec | {"primary": "acc"})
    assert examples is None and set(runs["task"]) == {"arc", "text"}, "groups are means of their tasks"
    rows = {(row.task, row.metric): row for row in runs.itertuples()}
    assert set(rows) == {("arc", "acc"), ("text", "acc"), ("text", "acc,strict"), ("text", "word_perplexity")}
    first = rows["arc", "acc"]
    assert (first.model, first.method, first.seed, first.value, first.stderr, first.n_test) == (
        *("org/a", "evaluated", 7, 0.5, 0.05, 100),
    )
    perplexity = rows["text", "word_perplexity"]
    assert np.isnan(perplexity.stderr) and not perplexity.higher_is_better and perplexity.value == 12.5
    assert runs["primary"].sum() == 2


@pytest.mark.parametrize(
    ("text", "message"), [("{}", "has no `results`"), ("[", "is not valid JSON"), ('{"results": {}}', "has no scores")]
)
def test_other_files_are_not_results_of_the_harness(tmp_path, text, message):
    (tmp_path / "results_x.json").write_text(text)
    with pytest.raises(UserError, match=message):
        imported({"path": str(tmp_path / "results_x.json"), "format": "lm_eval_results"})
