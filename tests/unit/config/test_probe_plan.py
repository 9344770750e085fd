from small_config import CONFIG, changed

from variability.config import probe_plan


def test_pairs_state_their_activations_or_why_there_are_none():
    pairs = {(pair["model"], pair["task"]): pair for pair in probe_plan.pairs(changed())}
    assert set(pairs) == {(model, task) for model in ("a", "b") for task in ("digits", "letters2")}
    assert pairs["a", "digits"]["features"] == "backbone" and pairs["a", "digits"]["reason"] is None
    assert pairs["b", "digits"]["features"] is None
    assert pairs["b", "digits"]["reason"] == "no reference probe: every run has its own backbone"


def test_seeds_are_listed_only_where_each_has_its_own_split():
    own = CONFIG["tasks"]["digits"] | {"split": {"train": 50, "validation": 50, "test": 50, "resample": True}}
    study = changed(tasks=CONFIG["tasks"] | {"digits": own}, grid={"exclude": [{"model": "a", "seed": 1}]})
    seeds = {(pair["model"], pair["task"]): pair["seeds"] for pair in probe_plan.pairs(study)}
    assert seeds["a", "digits"] == [0, 2] and seeds["b", "digits"] == [0, 1, 2] and seeds["a", "letters2"] is None


def test_a_study_of_rankings_has_no_probe():
    study = changed(
        models={"bert4rec": {"provider": "sequential", "architecture": "bert4rec"}},
        tasks={"items": {"dataset": "interactions_table", "options": {"path": "log.csv"}}},
        methods={"full": None},
    )
    assert study.seeds and probe_plan.pairs(study) == [] and not probe_plan.has_probe(study)


def test_networks_of_a_framework_that_stores_nothing_are_named():
    study = changed(models={"k": {"provider": "keras", "architecture": "MobileNetV2", "weights": "imagenet"}})
    reasons = {pair["reason"] for pair in probe_plan.pairs(study)}
    assert reasons == {"no reference probe: activations of networks of keras are not stored"}
