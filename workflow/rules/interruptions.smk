# What signals to Snakemake do to local jobs: they save their state and end, and Snakemake ends after them.
import signal
import threading
from contextlib import suppress

import psutil

from variability import interruption

# Jobs end when this process does, however it ends.
os.environ[interruption.SNAKEMAKE] = str(os.getpid())
if workflow.remote_exec:
    # SLURM signals all processes of a job; those that train are to save their state, and this one waits for them.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def stop_jobs_on_signals():
    """Pass on signals to local jobs, and then end as Snakemake does on SIGTERM: start no job, wait for the others.

    Snakemake alone would wait for jobs until they are finished, and die of the other signals. Jobs of clusters are left
    alone: they go on until they are finished, or are cancelled with SIGINT.
    """
    if workflow.non_local_exec or threading.current_thread() is not threading.main_thread():
        return
    # Snakemake imports polars with its first job, where it is installed. Polars then handles SIGINT itself, in a way that
    # does not interrupt the wait for jobs (SA_RESTART): they would go on until they are finished.
    with suppress(ImportError):
        import polars
    end_gracefully, received = signal.getsignal(signal.SIGTERM), []

    def stop(number, frame):
        name, again = signal.Signals(number).name, number == signal.SIGINT and number in received
        received.append(number)
        what = "end at once, without saving" if again else "save their state and end"
        # Not print, which fails while the interrupted code is printing.
        os.write(2, f"{name}: running jobs {what}; run the same command again to continue\n".encode())
        if follower is not None:
            follower.interrupt()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.send_signal(signal.SIGINT if again else signal.SIGTERM)
        if number != signal.SIGINT:
            # In a thread, because it waits for a lock that the interrupted code may hold.
            threading.Thread(target=end_gracefully, args=(number, frame), daemon=True).start()
        elif received.count(number) != 2:
            # The second time, Snakemake is waiting for the jobs already; a third time, it need not.
            raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
