# Functions for the rules' params: plain values that hold what a job's result depends on.


def spec_of(stage):
    """Return the function for a rule's ``params: spec``: one dict with sorted keys."""

    def spec(wildcards):
        return STAGES[stage].spec(plan, wildcards)

    return spec


def score_metrics(wildcards):
    return study.metrics(wildcards.task)
