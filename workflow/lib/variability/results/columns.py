"""Columns that identify a cell, a run, and a run's value in the tables of results."""

from variability import seeding

#: A cell: all runs that differ in nothing but their seed.
CELL = ["model", "task", "method"]
#: Method of imported runs of which none is stated.
UNNAMED_METHOD = "fine-tuned"
#: What is compared on a task: all cells of a model and a method.
CANDIDATE = ["model", "method"]
#: A run.
RUN = [*CELL, "seed"]
#: One of the values of a run.
VALUE = ["phase", "split", "metric"]
#: Values that can be compared with each other: those of a cell's runs in one phase, split and metric.
CELL_VALUE = [*CELL, *VALUE]
#: One value of one run: at most one row of the runs table.
RUN_VALUE = [*RUN, *VALUE]
#: Columns that hold the numbers of a run's random streams, see ``seeding.stream_number``. Missing in imported runs.
STREAM_SEED = {stream: f"seed_{stream}" for stream in seeding.STREAMS}
STREAM_SEEDS = [*STREAM_SEED.values()]
