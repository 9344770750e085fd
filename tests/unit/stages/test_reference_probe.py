import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny_study
from sklearn.linear_model import LogisticRegression

from variability.data.prepared_task import PreparedTask
from variability.errors import UserError
from variability.io import files
from variability.stages import reference_probe as stage

METRICS = ["accuracy", "confusion", "nll"]


@pytest.fixture
def vectors():
    """Features that separate the ten digits in part."""
    generator = np.random.default_rng(3)
    images, _ = tiny_study.images_and_labels()
    return (images.reshape(len(images), -1) + 40 * generator.normal(size=(len(images), 64))).astype(np.float32)


def store(folder, array, form="fp32", each="example", stored=True, reason=None):
    """Write activations as the rule ``features`` does, and return the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "activations.npy", array)
    layout = {"each": each, "form": form, "shape": list(array.shape[1:]), "layout": "as indexed", "views": 0}
    content = {"stored": stored, "reason": reason, "sha256": files.sha256(folder / "activations.npy")}
    files.write_json(folder / "features.json", content | ({"activations": layout} if stored else {}))
    return folder / "features.json"


def run(task_json, folder, features, seeds=None, code="code", reason=None):
    pair = {"model": "cnn", "task": "digits", "features": features and "backbone", "reason": reason, "seeds": seeds}
    spec = {"pairs": [pair], "metrics": {"digits": METRICS}}
    manifest = folder / "reference.json"
    stage.reference_probe(spec, {"digits": task_json}, [features] if features else [], code, manifest)
    assert list(files.read_json(manifest)["tables"]) == ["cnn/digits.parquet"]
    return pq.read_table(folder / "cnn" / "digits.parquet").to_pandas()


def value(table, metric, split="test"):
    return table[(table["metric"] == metric) & (table["split"] == split)]["value"].item()


def test_the_values_are_those_of_scikit_learn_at_the_strength_that_validation_chooses(task_json, tmp_path, vectors):
    table = run(task_json, tmp_path / "reference", store(tmp_path / "features", vectors))
    task = PreparedTask.open(task_json)
    train, validation, test = (task.rows(split, 0) for split in ("train", "validation", "test"))
    standard = (vectors - vectors[train].mean(axis=0)) / np.maximum(vectors[train].std(axis=0), 1e-9)
    standard[:, vectors[train].std(axis=0) == 0] = 0

    def peer(strength):
        return LogisticRegression(C=1 / (len(train) * strength), max_iter=5000, tol=1e-6).fit(
            standard[train], task.labels[train]
        )

    losses = []
    for strength in stage.STRENGTHS:
        fitted = peer(strength).predict_proba(standard[validation])
        losses.append(-np.log(fitted[np.arange(len(validation)), task.labels[validation]]).mean())
    best = peer(stage.STRENGTHS[int(np.argmin(losses))])
    assert table["strength"].unique() == [stage.STRENGTHS[int(np.argmin(losses))]]
    assert value(table, "accuracy") == pytest.approx(best.score(standard[test], task.labels[test]), abs=1.5 / len(test))
    assert value(table, "nll", "validation") == pytest.approx(min(losses), rel=0.02)
    assert set(table["metric"]) == {"accuracy", "nll"}, "the confusion matrix is not a scalar"
    assert table["n_train"].unique() == [len(train)] and table["estimator"].unique() == ["logistic regression"]
    assert table["seed"].isna().all() and table["note"].isna().all()


def test_test_examples_change_nothing_but_the_values_on_them(task_json, tmp_path, vectors):
    other = vectors.copy()
    other[PreparedTask.open(task_json).rows("test", 0)] *= -3
    first = run(task_json, tmp_path / "a", store(tmp_path / "features-a", vectors))
    second = run(task_json, tmp_path / "b", store(tmp_path / "features-b", other))
    assert value(first, "nll", "validation") == value(second, "nll", "validation")
    assert value(first, "nll") != value(second, "nll")


def test_a_table_is_reused_until_its_inputs_change(task_json, tmp_path, vectors, monkeypatch):
    manifest = store(tmp_path / "features", vectors)
    first = run(task_json, tmp_path / "reference", manifest)
    monkeypatch.setattr(stage, "_fitted", lambda *arguments: iter([{"note": "fitted again"}]))
    assert run(task_json, tmp_path / "reference", manifest).equals(first)
    assert run(task_json, tmp_path / "reference", manifest, code="other")["note"].tolist() == ["fitted again"]
    changed = store(tmp_path / "features", vectors + 1)
    assert run(task_json, tmp_path / "reference", changed)["note"].tolist() == ["fitted again"]


@pytest.mark.parametrize("form", ["bf16", "fp16"])
def test_half_precision_and_maps_are_read_as_pooled_numbers(task_json, tmp_path, vectors, form):
    maps = np.stack([np.round(vectors) - 2, np.round(vectors) + 2], axis=2)[..., None]  # (n, features, 2, 1)
    maps = np.clip(maps, -120, 120)  # exact in bfloat16
    bits = maps.astype(np.float16).view(np.uint16) if form == "fp16" else (maps.view(np.uint32) >> 16).astype(np.uint16)
    half = run(task_json, tmp_path / "half", store(tmp_path / "features-half", bits, form))
    full = run(task_json, tmp_path / "full", store(tmp_path / "features-full", maps.mean(axis=(2, 3))))
    assert value(half, "accuracy") == value(full, "accuracy") and value(half, "nll") == value(full, "nll")


def test_the_reason_is_reported_where_there_is_no_reference(task_json, tmp_path, vectors):
    assert run(task_json, tmp_path / "a", None, reason="every seed differs")["note"].tolist() == ["every seed differs"]
    too_large = store(tmp_path / "large", np.zeros(0), stored=False, reason="9 GB of activations")
    assert run(task_json, tmp_path / "b", too_large)["note"].tolist() == ["no reference probe: 9 GB of activations"]
    tokens = store(tmp_path / "tokens", vectors, each="token")
    assert "no single vector" in run(task_json, tmp_path / "c", tokens)["note"].item()


def test_activations_that_are_not_those_of_the_manifest_are_refused(task_json, tmp_path, vectors):
    manifest = store(tmp_path / "features", vectors)
    np.save(tmp_path / "features" / "activations.npy", vectors * 2)
    with pytest.raises(UserError, match="not the file that features wrote"):
        run(task_json, tmp_path / "reference", manifest)


def test_few_of_very_many_examples_are_used_with_their_shares_of_labels(monkeypatch):
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    monkeypatch.setattr(stage, "WORK", 1000)
    monkeypatch.setattr(stage, "MIN_EXAMPLES", 50)
    chosen = stage._sample(labels, work=10)
    assert np.bincount(labels[chosen]).tolist() == [60, 30, 10] and len(np.unique(chosen)) == 100
    assert len(stage._sample(labels, work=1)) == 1000
