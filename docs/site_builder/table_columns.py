"""Columns of the tables of analyses, from the tables of a small synthetic study."""

import synthetic_study

from variability import registry


def columns() -> dict[str, list[str]]:
    """Return the columns of every analysis: {analysis: names in the order of its table}."""
    tables = synthetic_study.base_tables(models=("cnn", "cnn-scratch", "vit"), tasks=("digits", "letter-case"))
    names = {}
    for name in registry.names("analyses"):
        analysis = registry.find("analyses", name)
        options = {"resamples": 200} if "resamples" in analysis.OPTIONS else {}
        names[name] = list(analysis(options).table(tables).columns)
    return names
