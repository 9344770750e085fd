"""Model cards: read by the library of a model hub, with numbers that are computed here by hand."""

import dataclasses
import json
import re

import finished_study
import numpy as np
import pandas as pd
import pytest
import yaml

from variability.interactive import own_runs
from variability.io.artefacts import write_record
from variability.model_card import __main__ as command
from variability.model_card import card, run_facts

SETTINGS = {
    "model": {"architecture": "org/some-net", "provider": "transformers", "weights": "pretrained", "name": "a"},
    "method": {"kind": "full", "name": "full"},
}
NASTY = "a|b <script>alert(1)</script> `x` *y*\n# head"


def edit(study, seed=1, model="a", **changes):
    """Change the record of a run, as a run of the workflow has it, and return its folder."""
    folder = study / "finetune" / model / "digits/full" / str(seed)
    record = json.loads((folder / "run.json").read_text())
    record.pop("checksum")
    write_record(folder / "run.json", record | {"settings": SETTINGS, "recipe": {"lr": 0.1}} | changes)
    return folder


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    written = finished_study.copy(finished, tmp_path_factory.mktemp("cards"))
    task = {"kind": "classification", "modality": "image", "class_names": ["zero", NASTY], "facts": {}, "target": {}}
    task |= {"split": {"resample": False}, "counts": {"test": 200}, "sha256": {"inputs": "", "examples": ""}}
    write_record(written / "prepare/digits/task.json", task)
    return written


@pytest.fixture(scope="module")
def text(study):
    return card.render(run_facts.read(edit(study)))


@pytest.fixture(scope="module")
def values(study):
    runs = own_runs.read_runs(study)
    chosen = (runs["phase"] == "after") & (runs["split"] == "test") & (runs["model"] == "a")
    return runs[chosen & (runs["metric"] == "accuracy")].sort_values("seed")["value"].to_numpy()


def row(text, start):
    """Return the value of the line of the first table that begins so."""
    return re.search(rf"^\| {re.escape(start)}[^|]*\| ([^|]*?) *\|", text, re.MULTILINE)[1]


def test_the_metadata_are_those_of_the_hub_s_library(text, values):
    repocard = pytest.importorskip("huggingface_hub.repocard")
    data = repocard.ModelCard(text).data
    results = {result.metric_type: result for result in data.eval_results}
    accuracy = results["accuracy"]
    assert accuracy.metric_value == values[1] and set(results) == {"accuracy", "nll"}
    assert (accuracy.task_type, accuracy.task_name) == ("image-classification", "digits")
    assert (accuracy.dataset_name, accuracy.dataset_split) == ("digits", "test")
    assert data.model_name == "a (full) on digits, seed 1" and data.library_name == "transformers"
    assert data.base_model == "org/some-net" and data.tags == ["finetune-variability", "full"]
    assert data.to_dict()["model-index"] == yaml.safe_load(text.split("---")[1])["model-index"]


def test_the_table_says_how_far_the_seed_moves_the_result(text, values):
    mean, sd = values.mean(), values.std(ddof=1)
    half = 2.919986 * sd / np.sqrt(3)  # t at 95 %, 2 degrees of freedom: the study's intervals are of 90 %
    assert float(row(text, "this run")) == pytest.approx(values[1], abs=5e-5)
    assert row(text, "its position") == f"{1 + (values > values[1]).sum()} of 3, 1 is the best"
    assert float(row(text, "mean of 3 seeds")) == pytest.approx(mean, abs=5e-5)
    assert float(row(text, "SD between seeds")) == pytest.approx(sd, abs=5e-5)
    low, high = map(float, row(text, "interval of the mean (90 % t)").strip("[]").split(", "))
    assert (low, high) == (pytest.approx(mean - half, abs=1e-4), pytest.approx(mean + half, abs=1e-4))
    # The expected best of 3 out of 3 runs is the largest of them.
    assert float(row(text, "what reporting the best of 3")) == pytest.approx(values.max() - mean, abs=5e-5)
    assert row(text, "runs that failed") == "0" and "differ in nothing but the seed" in text


def test_the_recipe_the_data_and_the_use_are_stated(text):
    assert "| lr     | `0.1` |" in text and "- Device: a processor" in text
    assert "100 for training, 50 for validation, 200 for testing" in text
    assert 'load_run("results/my-study/finetune/a/digits/full/1").predict(["a.png"])' in text


def test_only_supported_claims_about_the_model_are_quoted():
    sentences = [
        "On t, a (full) beats b (full).",
        "On t, b (full) beats a (full).",
        "On t, xa (full) beats b (full).",
        "On t, the seeds of a (full) differ by more than the noise of the test examples.",
        "On t, reporting the best of 3 seeds of a (full) overstates it by more than 0.01.",
        "On t2, a (full) beats b (full).",
        "On t, a (full) is the best of 2 candidates.",
    ]
    table = pd.DataFrame({"sentence": sentences, "task": "t", "verdict": "supported"})
    table.loc[5, "task"], table.loc[6, "verdict"] = "t2", "undecided"
    quoted = run_facts._about(table, {"model": "a", "method": "full", "task": "t"})
    assert quoted.index.tolist() == [0, 3, 4]


def test_names_of_users_are_shown_and_not_run(study, text):
    pages = re.sub(r"`[^`\n]*`", "", text)
    assert "<script>" not in pages.replace("\\<script>", "") and "\n# head" not in text
    folder = edit(study, seed=0, settings={**SETTINGS, "model": SETTINGS["model"] | {"weights": NASTY}})
    escaped = card.render(run_facts.read(folder))
    assert "a\\|b \\<script>alert(1)\\</script> \\`x\\` \\*y\\*↵# head" in escaped


def test_a_run_that_equals_all_others_is_not_the_best(study, monkeypatch):
    of = run_facts.Source.of

    def with_equal_values(source):
        opened = of(source)
        opened.runs = opened.runs.assign(value=0.5)
        return opened

    monkeypatch.setattr(run_facts.Source, "of", with_equal_values)
    told = card.render(run_facts.read(edit(study)))
    assert row(told, "its position") == "1 of 3, 1 is the best; equal to 2 other runs"
    assert "This run is the best" not in told


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ({}, "full", "by the method full (all weights trained) from its published weights."),
        ({"weights": "none"}, "mine", "by the method mine from random weights."),
        ({"weights": "pretrain:letters"}, "lora", "from weights that the study pretrained (letters)."),
        (
            {"weights": "IMAGENET1K_V1"},
            "linear_probe",
            "linear_probe (only the head trained) from the weights IMAGENET1K",
        ),
    ],
)
def test_the_start_says_what_was_trained_from_which_weights(study, model, kind, words):
    settings = {"model": SETTINGS["model"] | model, "method": {"kind": kind, "name": "full"}}
    assert words in card.render(run_facts.read(edit(study, settings=settings))).replace("\\_", "_")


@pytest.mark.parametrize(
    ("task", "example"),
    [
        ({"modality": "text"}, 'predict(["a text"])'),
        ({"modality": "text", "facts": {"pairs": True}}, 'predict([("a text", "a text")])'),
        ({"modality": "interactions"}, 'predict([["an item", "the next item"]])'),
    ],
)
def test_the_use_fits_the_examples_of_the_task(study, task, example):
    facts = run_facts.read(edit(study))
    assert example in card.render(dataclasses.replace(facts, task={**facts.task, **task}))


def test_names_of_classes_with_commas_can_be_counted(study):
    facts = run_facts.read(edit(study))
    names = {"class_names": ["red, round", "blue"]}
    assert '- 2 classes: "red, round", "blue"\n' in card.render(dataclasses.replace(facts, task=facts.task | names))


def test_the_best_run_and_a_failed_run_are_named(study, values):
    best = edit(study, seed=int(values.argmax()))
    assert "This run is the best of 3. If it was chosen for that" in card.render(run_facts.read(best))
    of_b = edit(study, model="b", seed=0)
    other = card.render(run_facts.read(of_b))
    assert row(other, "runs that failed") == "1" and row(other, "mean of 2 seeds")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"provider": "torchvision", "weights": "IMAGENET1K_V1"}, ("pytorch", None)),
        ({"provider": "timm"}, ("timm", None)),
        ({"provider": "clip"}, ("transformers", "org/some-net")),
        ({"weights": "none"}, ("transformers", None)),
        ({"architecture": "/home/me/net"}, ("transformers", None)),
    ],
)
def test_only_a_model_of_a_hub_has_a_base_model(study, settings, expected):
    folder = edit(study, settings={**SETTINGS, "model": SETTINGS["model"] | settings})
    data = card.metadata(run_facts.read(folder))
    assert (data["library_name"], data.get("base_model")) == expected


def test_the_command_writes_cards_and_does_not_overwrite_edited_ones(study, capsys):
    folder = edit(study)
    assert command.main([str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "README.md")
    (folder / "README.md").write_text("mine")
    assert command.main([str(folder)]) == 1
    assert "may have been edited; add --replace" in capsys.readouterr().err
    assert (folder / "README.md").read_text() == "mine"
    assert command.main([str(folder), "--replace"]) == 0
    assert (folder / "README.md").read_text().startswith("---\nlibrary_name: transformers\n")


def test_what_has_no_card_is_explained(study, tmp_path, capsys):
    for folder, message in (
        (study, "is not the folder of a finished run: it has no run.json"),
        (study / "nothing", "nothing; that of a run is results/<study>/finetune/<model>/<task>/<method>/<seed>"),
        (study / "finetune/b/digits/full/2", "diverged: loss is NaN; there is no model to describe"),
    ):
        assert command.main([str(folder)]) == 1
        assert message in capsys.readouterr().err
