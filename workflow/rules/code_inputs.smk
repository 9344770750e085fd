# The library code and the params that a rule's result depends on, as files among its inputs: an edit reruns the stages
# that import the edited file, another param the jobs that have it.
from variability import provenance

# Listings of the files that a stage, its script and its plug-ins import, with checksums. They are `ancient`, because
# the checksum of a job's listing is part of its spec, which Snakemake compares by content.
CODE = Path("results", "code")


@cache
def listing(stage, *plugins):
    return str(provenance.write_listing(CODE, stage, *plugins))


def code_of(stage):
    """Return the input function for a rule's ``code``."""

    def code(wildcards):
        return ancient(listing(stage, *STAGES[stage].plugins(plan, wildcards)))

    return code


def codes_of(stage):
    """Return the input function for the ``code`` of a rule that does all jobs of a stage together."""

    def codes(wildcards):
        return ancient(listings_of(stage))

    return codes


def all_listings():
    jobs = [(name, job) for name, stage in STAGES.items() for job in stage.jobs(plan)]
    return list(dict.fromkeys(listing(name, *STAGES[name].plugins(plan, job)) for name, job in jobs))


def listings_of(stage):
    return [listing(stage, *STAGES[stage].plugins(plan, job)) for job in STAGES[stage].jobs(plan)]


def job_specs():
    """Yield the path and the content of the spec of each job, every job after those that make its inputs."""
    for name, stage in STAGES.items():
        folder = Path(DOWNLOADS if name.startswith("download") else RESULTS, job_records.SPECS)
        for job in stage.jobs_of_rule(plan) if stage.spec else ():
            code = listings_of(name) if stage.together else [listing(name, *stage.plugins(plan, job))]
            yield folder / f"{'/'.join([name, *job.values()])}.json", job_records.spec_text(stage.spec(plan, job), code)


def current_specs(wildcards):
    return [str(path) for path, _ in job_specs()]


# Before any job is planned: Snakemake reads a folder once, and takes a file that is written later for missing. A job of a
# cluster reads the workflow again, and finds its files there.
if STORED and workflow.is_main_process:
    sources = [(path, Path(path).read_text(encoding="utf-8")) for path in [*all_listings(), *page_parts()]]
    upload([*sources, *((path.as_posix(), text) for path, text in job_specs())])
elif not workflow.remote_exec:
    job_records.update(job_specs())
    provenance.store_parsed()
