import copy

from small_config import CONFIG, changed

from variability.config import entry_checks
from variability.config.outputs import WITH_MARGINS, Outputs
from variability.config.study import Study

DEFAULT = Outputs(Study(CONFIG))


def outputs(**sections) -> Outputs:
    return Outputs(changed(**sections))


def test_a_list_chooses_and_analyses_that_a_plot_reads_are_made_too():
    chosen = outputs(analyses=[{"spread": {"level": 0.9}}], plots=["gain_slopes"], claims=[])
    assert chosen.analyses == {"gain": {}, "spread": {"level": 0.9}}
    assert chosen.plots == {"gain_slopes": {}} and chosen.claims == {}


def test_plots_and_claims_that_are_not_listed_are_those_of_the_listed_analyses():
    chosen = outputs(analyses=["spread", "ranks", "decisions"])
    assert set(chosen.analyses) == {"spread", "ranks", "decisions"}
    assert {"model_task_heatmap", "ranks"} <= set(chosen.plots) and "intervals" not in chosen.plots
    assert set(chosen.claims) == {"shared_ranks", "stable_ranking"}


def test_a_mapping_sets_options_and_leaves_the_others_on():
    chosen = outputs(analyses={"ranks": {"seed": 1}}, plots={"cost": {"dpi": 100}, "ranks": None})
    assert chosen.analyses == DEFAULT.analyses | {"ranks": {"seed": 1}}
    assert chosen.plots == DEFAULT.plots | {"cost": {"dpi": 100}}
    assert chosen.claims == DEFAULT.claims


def test_the_decisions_have_the_margins_of_the_study():
    margins = {"accuracy": 0.02}
    assert outputs(margins=margins).analyses["decisions"] == {"margins": margins}
    chosen = outputs(margins=margins, analyses=["spread"], plots=[], claims=["shared_ranks"])
    assert chosen.analyses == {"decisions": {"margins": margins}, "spread": {}}
    chosen = outputs(margins=margins, analyses={"decisions": {"level": 0.9}})
    assert chosen.analyses["decisions"] == {"level": 0.9, "margins": margins}


def test_false_switches_off_an_analysis_and_all_that_reads_it():
    chosen = outputs(analyses={"ranks": False}, plots={"cost": False})
    assert "ranks" not in {*chosen.analyses, *chosen.plots} and "stable_ranking" not in chosen.claims
    assert "cost" in chosen.analyses and "cost" not in chosen.plots


def test_the_order_of_plug_ins_in_the_config_changes_nothing():
    names = ["spread", "cost", "gain"]
    assert repr(outputs(analyses=names).analyses) == repr(outputs(analyses=names[::-1]).analyses)


def test_options_of_a_second_config_file_are_merged_and_a_list_replaces_a_list():
    """Snakemake merges config files with ``update_config``."""
    from snakemake.utils import update_config

    config = copy.deepcopy(CONFIG) | {"plots": {"cost": {"dpi": 100}, "churn": False}}
    update_config(config, {"plots": {"cost": {"title": "Mine"}}})
    plots = Outputs(Study(config)).plots
    assert plots["cost"] == {"dpi": 100, "title": "Mine"} and "churn" not in plots
    update_config(config, {"plots": ["ranks"]})
    assert set(Outputs(Study(config)).plots) == {"ranks"}


REPEATED = {"full": {}, "full-again": {"repeats": "full"}}
IMPORT = {"path": "x.csv", "columns": {"model": "m", "seed": "s"}, "metrics": {"accuracy": None}}


def imported(**keys) -> Outputs:
    return Outputs(Study({"study": "s", "imports": {"x": IMPORT | keys}}))


def test_a_plot_whose_requirements_the_study_does_not_meet_is_not_made():
    assert "nondeterminism" not in DEFAULT.plots
    assert "nondeterminism" in outputs(methods=REPEATED).plots
    assert "nondeterminism" in outputs(models={"x": CONFIG["models"]["a"], "y": CONFIG["models"]["a"]}).plots
    no_common_seed = {"exclude": [{"method": "full", "seed": [0, 1]}, {"method": "full-again", "seed": 2}]}
    assert "nondeterminism" not in outputs(methods=REPEATED, grid=no_common_seed).plots
    assert not {"best_of_n", "noise_split", "seeds_needed"} & set(outputs(seeds=[0]).plots)
    assert {"best_of_n", "noise_split", "seeds_needed"} <= set(outputs(seeds=[0, 1]).plots)
    one_candidate = outputs(models={"b": CONFIG["models"]["b"]}, methods={"full": {}})
    assert not {"across_tasks", "ranks", "pairwise", "multibootstrap"} & set(one_candidate.plots)
    assert "best_seed_optimism" in one_candidate.claims, "its analysis has results for a single candidate too"


def test_margins_of_the_config_reach_the_analyses_and_claims_that_use_them():
    chosen = Outputs(Study(CONFIG | {"margins": {"accuracy": 0.02}}))
    options = [*chosen.analyses.items(), *chosen.claims.items()]
    having = {name for name, keys in options if "margins" in keys}
    assert having == WITH_MARGINS & {*chosen.analyses, *chosen.claims} >= {"decisions", "best_seed_optimism"}
    assert chosen.claims["best_seed_optimism"]["margins"] == {"accuracy": 0.02}


def test_figures_about_seeds_are_not_made_of_single_runs():
    names, single = {"best_of_n", "seeds_needed"}, {"columns": {"model": "m"}, "constants": {"seed": 0}}
    assert names <= set(imported().plots)
    assert not names & set(imported(**single).plots)
    assert names <= set(imported(columns={"model": "m"}, seeds={"s1": 1, "s2": 2}).plots)
    assert names <= set(imported(columns={"model": "m"}, from_path=r"run(?P<seed>\d+)").plots)
    second = IMPORT | single | {"constants": {"seed": 1}}
    assert names <= set(Outputs(Study({"study": "s", "imports": {"x": IMPORT | single, "y": second}})).plots)


def test_a_plot_whose_requirements_an_import_may_meet_is_made():
    assert not {"gain_slopes", "cost", "across_tasks", "nondeterminism"} & set(imported().plots)
    assert "cost" in imported(format="wandb").plots
    assert "cost" in imported(columns=IMPORT["columns"] | {"seconds": "t"}).plots
    assert "across_tasks" in imported(columns=IMPORT["columns"] | {"task": "t"}).plots
    assert "across_tasks" in imported(tasks={"CIFAR": "cifar", "Pets": "pets"}, constants={"metric": "accuracy"}).plots
    assert "across_tasks" in imported(metrics={t: {"metric": "accuracy", "task": t} for t in ("cola", "rte")}).plots
    assert "across_tasks" not in imported(metrics={"accuracy": {"task": "rte"}, "f1_macro": {"task": "rte"}}).plots
    assert "across_tasks" in imported(from_path=r"(?P<task>.+)-(?P<seed>\d+)").plots
    assert "gain_slopes" in imported(from_path=r"(?P<phase>before|after)-(?P<seed>\d+)").plots
    assert "gain_slopes" in imported(metrics={"accuracy": None, "old": {"metric": "accuracy", "phase": "before"}}).plots


def test_a_named_factor_has_to_match_every_name_that_the_study_trains():
    pattern = "(?P<base>.+)-(?P<level>[0-9]+)shot"
    chosen = outputs(analyses={"components": {"factors": {"shots": {"of": "method", "pattern": pattern}}}})
    problems = list(entry_checks.check_plugins(chosen, "analyses"))
    assert [problem.key for problem in problems] == ["analyses.components.factors.shots.pattern"]
    assert "does not match the method" in problems[0].message
    chosen = outputs(analyses={"components": {"factors": {"seed": {"of": "method", "pattern": pattern}}}})
    assert [problem.key for problem in entry_checks.check_plugins(chosen, "analyses")]


def test_naming_an_analysis_that_is_no_default_adds_it_to_the_others():
    usual = outputs().analyses
    assert "examples_needed" not in usual
    assert set(outputs(analyses={"examples_needed": {"cost_run": 2}}).analyses) == {*usual, "examples_needed"}
