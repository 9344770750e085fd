# The library code that a rule's result depends on, as one of its inputs: an edit reruns the stages that import the
# edited file.
from variability import provenance

# Listings of the files that a stage, its script and its plug-ins import, with checksums. Snakemake compares such small
# files by content: a touch of the code reruns nothing.
CODE = Path("results", "code")


@cache
def listing(stage, *plugins):
    return str(provenance.write_listing(CODE, stage, *plugins))


def code_of(stage):
    """Return the input function for a rule's ``code``."""

    def code(wildcards):
        return listing(stage, *STAGES[stage].plugins(plan, wildcards))

    return code


def codes_of(stage):
    """Return the input function for the ``code`` of a rule that does all jobs of a stage together."""

    def codes(wildcards):
        return [listing(stage, *STAGES[stage].plugins(plan, job)) for job in STAGES[stage].jobs(plan)]

    return codes


def all_listings():
    jobs = [(name, job) for name, stage in STAGES.items() for job in stage.jobs(plan)]
    return list(dict.fromkeys(listing(name, *STAGES[name].plugins(plan, job)) for name, job in jobs))


def write_listings():
    """Write the listings of all jobs.

    Before any job is planned: Snakemake reads a folder once, and takes a file that is written later for missing.
    """
    for name, stage in STAGES.items():
        for job in stage.jobs(plan):
            listing(name, *stage.plugins(plan, job))


# A job of a cluster reads the workflow again, needs its own listing only, and finds the file there.
if not workflow.remote_exec:
    write_listings()
