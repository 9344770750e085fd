# Functions for the rules' params: plain values that hold what a job's result depends on.
from variability import advice


def spec_of(stage):
    """Return the function for a rule's ``params: spec``: one dict with sorted keys."""

    def spec(wildcards):
        return STAGES[stage].spec(plan, wildcards)

    return spec


def score_metrics(wildcards):
    return study.metrics(wildcards.task)


def analysis_options(wildcards):
    return options_of("analyses", wildcards.analysis, plan.outputs.analyses)


def plot_options(wildcards):
    return options_of("plots", wildcards.plot, plan.outputs.plots)


def options_of(family, name, chosen):
    if name not in chosen:
        message = f"{family}: {name!r} is not part of this study; {advice.suggest(name, list(chosen))}"
        raise WorkflowError(message)
    return chosen[name]


def analysis_caption(wildcards):
    return registry.find("analyses", wildcards.analysis).CAPTION


def plot_caption(wildcards):
    return registry.find("plots", wildcards.plot).CAPTION
