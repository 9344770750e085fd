# Functions for the rules' params: plain values that hold what a job's result depends on. The same values are in a small
# file among the inputs of each rule, see variability/io/job_records.py.


def spec_of(stage):
    """Return the function for a rule's ``params: spec``: one dict with sorted keys."""

    def spec(wildcards):
        return STAGES[stage].spec(plan, wildcards)

    return spec
