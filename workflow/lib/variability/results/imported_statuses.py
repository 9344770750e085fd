"""Statuses of runs, as the files of other programs write them, also in place of a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import yaml

from variability.errors import UserError
from variability.results import run_status
from variability.results.imported_files import Source

if TYPE_CHECKING:
    import pandas as pd

#: Words of trackers and of people's scripts, in lower case, with blanks for - and _. An empty status is decided by the
#: values.
_WORDS = {
    run_status.COMPLETED: "completed complete finished finish done success successful succeeded ok passed",
    run_status.FAILED: (
        "failed fail failure crashed crash killed kill error errored exception oom timeout preempted preempting "
        "cancelled canceled aborted stopped interrupted running scheduled pending queued unfinished incomplete pruned "
        "oomkilled evicted requeued revoked suspended completing deadline segfault sigkill sigterm dnf"
    ),
    run_status.DIVERGED: "diverged diverging nan inf infinity exploded",
}
STATUS_WORDS = {word: status for status, words in _WORDS.items() for word in words.split()} | {
    **dict.fromkeys(
        ("out of memory", "cuda out of memory", "oom killed", "timed out", "time out", "node fail", "boot fail"),
        run_status.FAILED,
    ),
    **dict.fromkeys(("loss is nan", "nan loss", "non finite", "not finite"), run_status.DIVERGED),
    **dict.fromkeys(("early stopped", "stopped early"), run_status.COMPLETED),
}
#: Words for numbers that are not finite, which values may be.
_NUMBERS = ("nan", "inf", "infinity")
_NO_STATUS = ("", "none", "null", "n/a", "\u2013", "\u2014")


def statuses(texts: pd.Series, words: Mapping[str, str], source: Source) -> pd.Series:
    """Return the status of runs, completed if it is empty. words: {word: status} of the config.

    Raises UserError for words that are not known, with their rows.
    """
    known = dict.fromkeys(_NO_STATUS, run_status.COMPLETED) | _known(words)
    written = texts.fillna("").map(_word)
    unknown = ~written.isin(list(known))
    if unknown.any():
        found = list(dict.fromkeys(texts[unknown]))
        listed = ", ".join(map(repr, found[:10]))
        # YAML quotes words such as true.
        example = yaml.safe_dump(
            {found[0]: "failed"}, default_flow_style=True, allow_unicode=True, width=10_000
        ).strip()
        raise UserError(
            f"{source.at(texts.index[unknown])}: the status {listed} is not known; add it to the import, as in "
            f"`statuses: {example}` (or completed, or diverged). Known: {', '.join(sorted(STATUS_WORDS))}"
        )
    return written.map(known)


def _known(words: Mapping[str, str]) -> dict[str, str]:
    """Return the statuses of all words, those of the config included."""
    return STATUS_WORDS | {_word(word): status for word, status in words.items()}


def _word(text: object) -> str:
    word = re.sub(r"[\s_-]+", " ", str(text)).strip().lower()
    # As SLURM reports them, with the number of the user.
    return re.sub(r"^(cancell?ed) by [0-9]+$", r"\1", word)


def with_reasons(table: pd.DataFrame, words: Mapping[str, str]) -> pd.DataFrame:
    """Return the table with words such as OOM in place of a value as the status of all values of their row.

    words: {word: status} of the config.
    """
    known = {word for word, status in _known(words).items() if status != run_status.COMPLETED and word not in _NUMBERS}
    reasons = table["value"].where(table["value"].fillna("").map(_word).isin(list(known)))
    if reasons.isna().all():
        return table
    of_row = reasons.groupby(level=0).first().reindex(table.index)
    status = of_row.fillna(table["status"]) if "status" in table else of_row
    return table.assign(value=table["value"].mask(reasons.notna()), status=status)
