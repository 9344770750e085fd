"""Library of a workflow that separates the effects of models, tasks, methods and seeds on fine-tuning results.

The stages in ``stages/`` take paths and plain values, all other modules take tables and arrays. No module depends on
Snakemake except ``stages/report.py``, which starts it to write its report.
"""
