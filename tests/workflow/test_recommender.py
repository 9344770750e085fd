"""The study of recommenders at a reduced size, from its data to its tables and figures."""

import numpy as np
import pandas as pd
import pytest
import yaml
from support import Checkout, presented

import variability
from variability.data.item_sequences import ItemSequences
from variability.data.prepared_task import PreparedTask

pytestmark = pytest.mark.slow
pytest.importorskip("transformers", reason="the extra transformers is not installed")

STUDY = "results/recommender/aggregate/manifest.json", "--configfile", "small.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    checkout = Checkout.of_project(tmp_path_factory.mktemp("recommender") / "project")
    config = yaml.safe_load((checkout.folder / "studies/recommender.yaml").read_text())
    config["seeds"] = [0, 1]
    config["recipe"] |= {"epochs": 2}
    config["grid"]["exclude"][-1]["seed"] = [1]
    # A job's imports take longer than its training: keep one control, and one architecture that predicts ratings.
    del config["models"]["bert4rec-scratch"]
    config["grid"]["exclude"].append({"task": "rating", "model": ["bert4rec", "sasrec-body"]})
    for pretraining in config["pretraining"].values():
        pretraining["task"]["options"] |= {"users": 60, "items": 40}
        pretraining["recipe"] |= {"epochs": 1}
    for task in config["tasks"].values():
        task["options"] |= {"users": 50, "items": 40}
    config["tasks"]["next-item"]["split"] = {"train": 30}
    config["tasks"]["rating"] |= {"split": {"train": 200}, "recipe": {"epochs": 1}}
    # Other studies draw every figure.
    config["plots"] = ["cost", "gain_slopes", "learning_curves", "multibootstrap", "noise_split"]
    (checkout.folder / "small.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    checkout.snakemake("--cores", "2", *STUDY)
    presented(config, checkout.folder / "results/recommender")
    return checkout


def table(finished, name):
    folder = finished.folder / "results/recommender"
    path = folder / name
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def test_every_cell_that_fits_has_its_runs_before_and_after(finished):
    runs = table(finished, "aggregate/runs.parquet")
    assert (runs["status"] == "completed").all()
    primary = runs[runs["primary"] & (runs["split"] == "test") & (runs["phase"] == "after")]
    counts = primary.groupby(["task", "model"], observed=True).size().to_dict()
    rank = {"bert4rec": 4, "sasrec": 4, "sasrec-scratch": 2, "sasrec-body": 2, "popularity": 1, "item-knn": 1}
    rate = {"sasrec": 4, "sasrec-scratch": 2}
    expected = {("next-item", model): n for model, n in rank.items()}
    assert counts == expected | {("rating", model): n for model, n in rate.items()}
    assert dict(zip(primary["task"], primary["metric"], strict=True)) == {"next-item": "ndcg_at_10", "rating": "rmse"}
    names = {"hr_at_1", "hr_at_5", "hr_at_10", "ndcg_at_5", "ndcg_at_10", "mrr"}
    assert names <= set(runs.loc[runs["task"] == "next-item", "metric"])
    assert {"rmse", "mae"} <= set(runs.loc[runs["task"] == "rating", "metric"])


def test_metrics_are_those_of_the_ranks_stored_per_user(finished):
    runs = table(finished, "aggregate/runs.parquet")
    predictions = table(finished, "predict/sasrec/next-item/full/0.parquet")
    after = predictions[(predictions["phase"] == "after") & (predictions["split"] == "test")]
    assert len(after) == 50 and after["group"].is_unique
    assert (after["y_true"] == 1).all() and after["y_pred"].between(1, 40).all()
    row = runs[
        (runs["model"] == "sasrec") & (runs["task"] == "next-item") & (runs["method"] == "full") & (runs["seed"] == 0)
        & (runs["phase"] == "after") & (runs["split"] == "test") & (runs["metric"] == "mrr")
    ]  # fmt: skip
    assert row["value"].item() == pytest.approx((1 / after["y_pred"]).mean())


def test_users_are_resampled_with_all_their_ratings(finished):
    for name in ("noise_split", "multibootstrap"):
        rows = table(finished, f"analyse/{name}.csv")
        rating, ranking = rows[rows["task"] == "rating"], rows[rows["task"] == "next-item"]
        assert (rating["n_examples"] == 100).all() and (rating["n_groups"] == 50).all()
        assert (ranking["n_examples"] == 50).all() and (ranking["n_groups"] == 50).all()


def test_all_but_the_catalogue_is_pretrained(finished):
    import safetensors

    folder = finished.folder / "results/recommender"
    with safetensors.safe_open(
        folder / "finetune/sasrec/next-item/linear_probe/0/checkpoint.safetensors", "pt"
    ) as probe:
        assert {name.partition(".")[0] for name in probe.keys()} == {"catalogue"}  # noqa: SIM118
    assert not (folder / "features").exists()


@pytest.mark.parametrize("model", ["bert4rec", "sasrec", "item-knn"])
def test_users_outside_the_study_get_the_scores_of_its_own(finished, model):
    run = variability.load_run(finished.folder / f"results/recommender/finetune/{model}/next-item/full/0")
    rows, sequences, stored = stored_sequences(finished, model, "next-item")
    histories = [sequences.items[begin : end - 1].tolist() for begin, end in sequences.bounds[rows]]
    targets = sequences.items[sequences.bounds[rows][:, 1] - 1]
    recommended = run.predict(histories, top=40)
    # The right item ranks behind items of the same score.
    ranks = [
        sum(score >= scores[items.index(target)] for score in scores)
        for items, scores, target in zip(recommended["items"], recommended["scores"], targets, strict=True)
    ]
    assert ranks == stored.tolist()
    assert [len(items) for items in run.predict(histories[:2], top=3)["items"]] == [3, 3]


def test_ratings_of_users_outside_the_study_are_those_of_its_own(finished):
    run = variability.load_run(finished.folder / "results/recommender/finetune/sasrec/rating/full/0")
    rows, sequences, stored = stored_sequences(finished, "sasrec", "rating")
    examples = []
    for begin, end in sequences.bounds[rows]:
        rated = zip(sequences.items[begin : end - 1], sequences.ratings[begin : end - 1], strict=True)
        examples.append(([(int(item), float(rating)) for item, rating in rated], int(sequences.items[end - 1])))
    known = [index for index, (history, _) in enumerate(examples) if history]
    predicted = run.predict([examples[index] for index in known])
    assert predicted["y_pred"].tolist() == pytest.approx(stored[known].tolist(), rel=1e-5)


def stored_sequences(finished, model, task):
    """Return the rows of the test examples, all sequences, and what seed 0 predicted for these rows."""
    prepared = PreparedTask.open(finished.folder / f"results/recommender/prepare/{task}/task.json")
    predictions = table(finished, f"predict/{model}/{task}/full/0.parquet")
    of_test = predictions[(predictions["phase"] == "after") & (predictions["split"] == "test")].set_index("example_id")
    rows = np.flatnonzero(np.isin(prepared.example_ids, of_test.index))
    stored = of_test.loc[prepared.example_ids[rows], "y_pred"].to_numpy()
    return rows, ItemSequences.of(prepared.inputs, prepared.facts), stored


def test_nothing_is_left_to_do(finished):
    assert finished.jobs(*STUDY) == set()
