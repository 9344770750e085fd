# What the terminal shows: the live line while jobs run, the table after a dry run, the answer at the end.
from snakemake.io import IOFile
from snakemake.logging import logger
from snakemake.settings.enums import Quietness

from variability.terminal.closing import WIDTH, closing, closing_of_failure, closing_of_interruption
from variability.terminal.first_error import first_error
from variability.terminal.durations import Durations, Work, job_seconds, run_seconds
from variability.terminal.follower import RUNNING, SUBMITTED, Follower
from variability.terminal.screen import columns_of
from variability.terminal.tracker import Job, Tracker

# Not in processes that run a single job, nor where another workflow has imported this one.
follower = None
if workflow.is_main_process and workflow.modifier.is_main_snakefile():
    quiet = set(workflow.output_settings.quiet or ())
    follower = Follower(
        dry_run=workflow.output_settings.dryrun,
        quiet=bool(quiet & {Quietness.ALL, Quietness.PROGRESS}),
    )
    follower.attach(logger)
    if workflow.output_settings.dryrun and Quietness.ALL not in quiet:
        follower.ending = lambda: table_of_plan()


def follow_jobs():
    """Show the state of the jobs while they run."""
    if follower is not None and not follower.quiet:
        try:
            follower.follow(tracker_of_plan(), RUNNING if workflow.local_exec else SUBMITTED)
        except Exception as error:
            # Of a newer Snakemake, perhaps. The study does not depend on it.
            print(f"Progress cannot be shown: {type(error).__name__}: {error}", file=sys.stderr)


def tracker_of_plan():
    planned = list(workflow.dag.needrun_jobs())
    return Tracker(
        [tracked(job) for job in planned],
        finished_runs(planned),
        {job.rule.name: slots(job) if workflow.local_exec else None for job in planned},
        list(follower.planned),
        earlier_of(planned).durations,
        modified,
    )


def tracked(job):
    """Return what the live line has to know of a job."""
    name, number = job.rule.name, workflow.dag.jobid(job)
    log = Path(str(job.log[0])) if job.log else None
    if name != "finetune":
        return Job(number, name, tuple(job.wildcards), log=log, target=is_target(job))
    folder = Path(RESULTS, "finetune", *cell_of(job))
    records = {seed: folder / str(seed) / "run.json" for seed in seeds_of(job)}
    return Job(number, name, tuple(job.wildcards), cell_of(job), records, log)


def finished_runs(planned):
    """Return the number of runs that no job has to make or find."""
    chunks = {job for job in workflow.dag.jobs if job.rule.name == "finetune"}
    return sum(len(seeds_of(job)) for job in chunks.difference(planned))


def is_target(job):
    return not job.output and not job.rule.script


def modified(path):
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def cell_of(job):
    return job.wildcards.model, job.wildcards.task, job.wildcards.method


def seeds_of(job):
    return study.seed_chunks[cell_of(job)][int(job.wildcards.block)]


def slots(job):
    """Return the number of jobs such as this one that run at the same time, as far as resources limit it."""
    limits = workflow.scheduler.global_resources
    claims = {name: claim for name, claim in job.scheduler_resources.items() if name in limits}
    numbers = [limits[name] // claim for name, claim in claims.items() if isinstance(claim, int) and claim > 0]
    return max(min(numbers, default=1), 1)


# The table after a dry run ------------------------------------------------------------------------------------------


def table_of_plan():
    """Return the table of what would be computed; nothing if that is nothing, or planning failed."""
    from variability.terminal.plan_table import Row, plan_table

    if not follower.planned:
        return ""
    jobs = list(workflow.dag.needrun_jobs(exclude_finished=False))
    stages = {name: [job for job in jobs if job.rule.name == name] for name in follower.planned}
    earlier = earlier_of(jobs)
    rows = [Row(name, len(of_stage), *estimates(of_stage, earlier)) for name, of_stage in stages.items() if of_stage]
    cores = workflow.scheduler.global_resources.get("_cores")
    limits = f"{cores} cores" if isinstance(cores, int) and 1 < cores < sys.maxsize else "one core"
    return plan_table(rows, finished_runs(jobs), limits, earlier.studies, earlier.of_others)


def estimates(jobs, earlier):
    """Return work, bytes, and the numbers of runs to train and to use again, of the jobs of a stage."""
    name = jobs[0].rule.name
    if is_target(jobs[0]):
        return Work(0.0), 0.0
    if name != "finetune":
        seconds, size = (job_seconds(name, [source]) for source in (earlier.durations, earlier.sizes))
        work = Work(None if seconds is None else len(jobs) * seconds, seconds or 0.0, slots(jobs[0]))
        return work, None if size is None else len(jobs) * size
    numbers = [len(seeds_of(job)) for job in jobs]
    reused = reused_runs(jobs)
    seconds, sizes = (
        [
            0.0 if number == found else each and (number - found) * each
            for job, number, found in zip(jobs, numbers, reused, strict=True)
            for each in [run_seconds(cell_of(job), [source])]
        ]
        for source in (earlier.durations, earlier.sizes)
    )
    work = Work(None) if None in seconds else Work(sum(seconds), max(seconds), slots(jobs[0]))
    return work, None if None in sizes else sum(sizes), sum(numbers) - sum(reused), sum(reused)


def reused_runs(jobs):
    """Return the number of finished runs that each job of ``finetune`` will use again."""
    from variability.terminal.stored_runs import finished_seeds, is_current

    current, numbers = {}, []
    for job in jobs:
        cell, folder = cell_of(job), Path(RESULTS, "finetune", *cell_of(job))
        seeds = finished_seeds(seeds_of(job), folder)
        if seeds and cell not in current:
            current[cell] = is_current(job.params.spec, job.input, folder, seeds[0])
        numbers.append(len(seeds) if current.get(cell) else 0)
    return numbers


def earlier_of(jobs):
    """Return durations and sizes of earlier runs and jobs that are like those that will run."""
    from variability.terminal import earlier_runs

    earlier = earlier_runs.Earlier(Durations(), Durations(), [])
    cells = dict.fromkeys(cell_of(job) for job in jobs if job.rule.name == "finetune")
    earlier_runs.of_cells(Path("results"), study.name, cells, earlier)
    records = [(job.rule.name, record_of(job)) for job in jobs if job.rule.name != "finetune"]
    earlier_runs.of_stages(Path("results"), study.name, records, seconds_of_job, earlier)
    return earlier


def record_of(job):
    """Return the path of the record of what a job was made from, inside the folder of a study."""
    return job_records.RECORDS / f"{'/'.join([job.rule.name, *job.wildcards])}.json"


def seconds_of_job(output):
    """Return the duration of the job that made a file, of which Snakemake has a record; None without one."""
    record = workflow.persistence.metadata(IOFile(output))
    return record.endtime - record.starttime if record and record.starttime and record.endtime else None


# The end of an execution -------------------------------------------------------------------------------------------


def print_failures():
    """Let the terminal show at the end which jobs have failed, or that the execution was interrupted."""
    if follower is not None and follower.tracker is not None:
        status = follower.tracker.status(time.time())
        jobs, errors = follower.tracker.failed(), list(map(first_error, follower.tracker.logs_of_failed()))
        # A job that was asked to end before it could log anything has not failed.
        failed = [
            (job.name, str(job.log))
            for job, error in zip(jobs, errors, strict=True)
            if error or not follower.interrupted
        ]
        error = next(filter(None, errors), "")
        if follower.interrupted and not failed:
            follower.ending = lambda: closing_of_interruption(status)
        else:
            follower.ending = lambda: closing_of_failure(status, failed, error, columns_of(2) or WIDTH)


def print_summary():
    """Let the terminal show at the end the answer and the path of a report that this run of Snakemake has written."""
    folder = fetched("report.html", "answer.txt") if STORED else Path(RESULTS, "report")
    if follower is None or not (folder / "report.html").is_file():
        return
    if (folder / "report.html").stat().st_mtime >= STARTED:
        answer = (folder / "answer.txt").read_text(encoding="utf-8")
        follower.ending = lambda: closing(answer, str(folder / "index.html"), columns_of(2) or WIDTH)
