"""How much of a fine-tuning result is the model, the task, the method, and how much is the seed.

The library behind the workflow: the stages in ``stages/`` take paths and plain values, everything else takes tables
and arrays. Nothing in it knows Snakemake but ``stages/report.py``, which starts it to have its report.
"""
