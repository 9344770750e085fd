# How the workflow reads the states of jobs of a cluster, and why SLURM ended jobs, printed after the last.
from variability.config import slurm, slurm_failures


def choose_status_command():
    """Let the executor use the command that works on this cluster.

    It would use sacct wherever that is installed, also without accounting, and wait forever.
    """
    settings = workflow.executor_settings
    records = slurm.job_records() if workflow.executor_plugin.name == "slurm" else None
    if records is None:
        return
    try:
        command = slurm.status_command(records, settings.status_command, settings.init_seconds_before_status_checks)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if command != settings.status_command:
        print(f"States of jobs are read from {command}, because of this cluster's settings.", file=sys.stderr)
        settings.status_command = command


def explain_failures(logs):
    """Print why SLURM ended the jobs of this run. logs: paths of Snakemake's log, none if it writes none."""
    text = "".join(Path(log).read_text(encoding="utf-8", errors="replace") for log in logs)
    run = slurm_failures.run_id(text)
    if run is not None:
        explained = slurm_failures.explain(slurm_failures.last_submissions(text), slurm.job_states(run))
        print(explained, file=sys.stderr)
