"""Which sentences the study supports, which it refuses, and which it leaves undecided."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from variability import registry
from variability.io.files import replacing, write_text
from variability.reporting.claims import COLUMNS, REFUSED, SUPPORTED, UNDECIDED, in_words
from variability.reporting.text_format import as_page

SCOPE = (
    "What is said here holds for this study's recipes, test examples and candidates. That one candidate beats another "
    "does not say that either is better than guessing: the analysis `failures` counts the runs that are not. An effect "
    "above 0 means better, also of a metric that is better when lower."
)
HEADS = {
    SUPPORTED: "The runs show it: where there is a p-value, at the stated level after adjusting for the number of "
    "claims in its family; without interval and p-value, these runs are beyond a cut-off.",
    UNDECIDED: "The runs allow it and its opposite.",
    REFUSED: "The runs show the opposite, or that the effect is too small to matter: by the interval beside it, which "
    "is not adjusted for the number of claims.",
}


def claim(
    study: str,
    chosen: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, Path],
    csv: Path,
    markdown: Path,
    page: Path,
) -> None:
    """Writes all claims as a table, as Markdown, and as a page for the report.

    chosen: options by kind of claim. tables: the CSV files of the analyses they read.
    """
    read = {name: pd.read_csv(path) for name, path in tables.items()}
    found = claims(chosen, read)
    with replacing(csv) as aside:
        found.to_csv(aside, index=False, lineterminator="\n")
    text = as_markdown(found, study)
    write_text(markdown, text)
    write_text(page, as_page(text, f"{study}: claims"))


def claims(chosen: Mapping[str, Mapping[str, Any]], tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All findings, the strongest of each verdict first.

    Strength is the distance of the effect from 0 in half-widths of its interval: above 1 the interval excludes 0.
    """
    rows = [
        {"kind": kind} | finding
        for kind, options in chosen.items()
        for finding in registry.find("claims", kind)(dict(options)).findings(dict(tables))
    ]
    found = pd.DataFrame(rows, columns=COLUMNS)
    half = (found["high"].astype(float) - found["low"].astype(float)) / 2
    found["strength"] = (found["effect"].astype(float) / half.where(half > 0)).round(3)
    order = found["verdict"].map({name: at for at, name in enumerate(HEADS)})
    found = found.assign(_order=order, _p=found["p_adjusted"].astype(float), _weakness=-found["strength"].abs())
    found = found.sort_values(["_order", "_p", "_weakness"], kind="stable", ignore_index=True)
    return found[COLUMNS]


def as_markdown(found: pd.DataFrame, study: str) -> str:
    """The claims in words, by verdict."""
    sections = [f"# {study}: what the runs support", SCOPE]
    for verdict, head in HEADS.items():
        of_verdict = found[found["verdict"] == verdict]
        sections.append(f"## {verdict.capitalize()} ({len(of_verdict)})")
        sections.append(head if len(of_verdict) else "None.")
        sections += ["\n".join(f"- {in_words(row)}" for _, row in of_verdict.iterrows())] if len(of_verdict) else []
    return "\n\n".join(sections) + "\n"
