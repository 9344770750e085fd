"""Stage ``claim``: sentences that the study supports, does not support, or leaves undecided."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from variability import registry
from variability.io.artefacts import LISTING, require_listed, write_checksums
from variability.io.files import write_text
from variability.reporting import display_names
from variability.reporting.claims import COLUMNS, EQUIVALENT, REFUSED, SUPPORTED, UNDECIDED, in_words
from variability.reporting.text_format import as_page
from variability.results import analysis_tables

SCOPE = (
    "These claims hold for this study's recipes, test examples and candidates. That one candidate beats another does "
    "not mean that either is better than guessing: the analysis `failures` counts the runs that are not. An effect "
    "above 0 means better, also for a metric for which lower is better."
)
HEADS = {
    SUPPORTED: "The runs support the claim. With a p-value: at the stated level, adjusted for the number of claims in "
    "its family. Without interval and p-value: these runs are beyond a cut-off, or no seed can change the values.",
    EQUIVALENT: "No difference was shown, and neither candidate is better by the margin or more, at the stated level, "
    "adjusted for the comparisons of the task: a difference, if there is one, is too small to matter.",
    UNDECIDED: "The runs are compatible with the claim and with its opposite, or could not be tested, for the reason "
    "in brackets.",
    REFUSED: "The runs support the opposite, or show that the effect is too small to matter: each claim says which, or "
    "its interval or cut-off shows it.",
}


def claim(
    study: str,
    chosen: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, Path],
    csv: Path,
    markdown: Path,
    page: Path,
) -> None:
    """Write all claims as a table with its listing, as Markdown, and as a page for the report.

    chosen: options by kind of claim. tables: CSV files of the analyses that they read.
    """
    frames = {name: analysis_tables.read(require_listed(path)) for name, path in tables.items()}
    findings = claims(chosen, frames)
    analysis_tables.write(findings, csv)
    write_checksums(csv.parent / LISTING, [csv.name])
    text = as_markdown(display_names.for_markdown(findings), study)
    write_text(markdown, text)
    write_text(page, as_page(display_names.plain(text), f"{study}: claims"))


def claims(chosen: Mapping[str, Mapping[str, Any]], tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return all claims, the strongest of each verdict first.

    The strength is the distance of the effect from 0 in half-widths of its interval: above 1 the interval excludes 0.
    """
    rows = [
        {"kind": kind} | finding
        for kind, options in chosen.items()
        for finding in registry.find("claims", kind)(dict(options)).findings(dict(tables))
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    half_width = (table["high"].astype(float) - table["low"].astype(float)) / 2
    table["strength"] = (table["effect"].astype(float) / half_width.where(half_width > 0)).round(3)
    order = table["verdict"].map({name: at for at, name in enumerate(HEADS)})
    table = table.assign(_order=order, _p=table["p_adjusted"].astype(float), _weakness=-table["strength"].abs())
    table = table.sort_values(["_order", "_p", "_weakness"], kind="stable", ignore_index=True)
    return table[COLUMNS]


def as_markdown(table: pd.DataFrame, study: str) -> str:
    """Return the claims as text, by verdict."""
    sections = [f"# {study}: what the runs support", SCOPE]
    for verdict, head in HEADS.items():
        of_verdict = table[table["verdict"] == verdict]
        sections.append(f"## {verdict.capitalize()} ({len(of_verdict)})")
        sections.append(head if len(of_verdict) else "None.")
        sections += ["\n".join(f"- {in_words(row)}" for _, row in of_verdict.iterrows())] if len(of_verdict) else []
    return "\n\n".join(sections) + "\n"
