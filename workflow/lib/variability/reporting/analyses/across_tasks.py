"""Differences between candidates over all tasks together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting import display_names
from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.results.columns import CANDIDATE

if TYPE_CHECKING:
    import pandas as pd

FEWEST_CANDIDATES, FEWEST_TASKS = 3, 2
COLUMNS = [
    *("model", "method", "average_rank", "not_different_from", "n_tasks", "tasks", "n_candidates", "n", "n_failed"),
    *(
        "chi2",
        "chi2_ties",
        "f",
        "p",
        "p_permutation",
        "p_floor",
        "cd",
        "estimator",
        "interval",
        "level",
        "ddof",
        "scope",
        "note",
    ),
]


class AcrossTasks(Analysis):
    """Ranks of the candidates (model and method), averaged over tasks; rank 1 is the best mean, ties share ranks.

    The unit is the task: each gives one rank per candidate, that of its mean over the completed runs (primary metric,
    test split, after fine-tuning), however many runs there are. Tasks are assumed to be independent.

    chi2: Friedman's statistic as in Demsar (2006, sect. 3.2.2), which ignores ties; chi2_ties: corrected for ties; f
    and p: Iman & Davenport (1980), from the corrected statistic. If all tasks give the same ranking, f is unbounded,
    and p is the exact probability of that. p_permutation: the same statistic with ranks shuffled within tasks (Monte
    Carlo), which is also valid for few tasks, where p is far too small. cd: Nemenyi's critical difference at 1 - level;
    candidates whose average ranks differ by less are listed in not_different_from, which does not show that they are
    equal.

    Every task must have every candidate. Tasks and candidates are those of ``overall``, see
    ``stats.complete_tables.select``. The note names the others.
    """

    REQUIRES = ("tasks", "three")
    CAPTION = (
        "Candidates ranked by their mean on every task (1 is best), and the average rank over tasks. The Friedman test "
        "(Iman and Davenport's F) tests whether they differ at all; two candidates whose average ranks differ by less "
        "than Nemenyi's critical difference are not significantly different. A check: what is better is decided in the "
        "tables overall and decisions."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells, _complete_tasks

        runs = primary_rows.select(tables["runs"])
        if runs.empty:
            return pd.DataFrame(columns=COLUMNS)
        marked = runs.assign(failed=_cells.failed(runs))
        cells = marked.groupby(["task", *CANDIDATE]).agg(
            n=("value", "count"), n_failed=("failed", "sum"), higher=("higher_is_better", "first")
        )
        part = _complete_tasks.of(runs)
        ranked_means = part.complete
        tasks, candidates = ranked_means.index, ranked_means.columns
        counts = cells[["n", "n_failed"]]
        counts = counts[counts.index.get_level_values("task").isin(ranked_means.index)] if len(candidates) else counts
        table = counts.groupby(CANDIDATE).sum().reindex(part.means.columns, fill_value=0)
        table = table.assign(
            n_tasks=len(tasks),
            tasks="; ".join(ranked_means.index) or "none",
            n_candidates=len(candidates),
            level=self.option("level"),
        )
        if len(candidates) < FEWEST_CANDIDATES or len(tasks) < FEWEST_TASKS:
            note = _joined(
                f"not estimable: needs {FEWEST_CANDIDATES} candidates and {FEWEST_TASKS} tasks, of which each has a "
                f"value; there are {len(candidates)} and {len(tasks)}",
                part.left_out,
            )
            table = table.assign(note=note)
        else:
            higher = cells["higher"].groupby("task").first().reindex(ranked_means.index)
            table = table.join(self._ranked(ranked_means, higher)).assign(
                note=lambda rows: rows["note"].where(rows["average_rank"].notna(), "not ranked: no value on some task")
            )
            table["note"] = [_joined(note, part.left_out) for note in table["note"]]
        table = table.assign(
            estimator="average over tasks of the rank of the mean over completed runs",
            interval="none; Nemenyi critical difference",
            ddof=float("nan"),
            scope=_cells.scope(runs),
        )
        table = table.reset_index().reindex(columns=COLUMNS)
        return table.sort_values(["average_rank", *CANDIDATE], ignore_index=True)

    def _ranked(self, means, higher):
        """Return the rows of the candidates whose means (tasks, candidates) are complete.

        higher: (tasks,), True where higher is better.
        """
        import pandas as pd
        from scipy import stats

        from variability.stats import comparisons

        level = self.option("level")
        # Equal means of runs that were summed in different orders differ in their last bits.
        values = np.vectorize(lambda value: float(f"{value:.12g}"))(means.to_numpy())
        losses = np.where(higher.to_numpy() == False, 1, -1)[:, None] * values  # noqa: E712
        ranks = stats.rankdata(losses, axis=1)
        test = comparisons.friedman(ranks)
        average = ranks.mean(axis=0)
        cd = comparisons.nemenyi_cd(*ranks.shape[::-1], level)
        rng = self.generator("ranks", *means.index)
        p_permutation, p_floor = comparisons.friedman_permutation(ranks, rng, self.option("resamples"))
        notes = {
            "all means are tied on every task": np.isnan(test.chi2_ties),
            "all tasks give the same ranking: f is unbounded, p is exact": np.isnan(test.f)
            and not np.isnan(test.chi2_ties),
            "the Friedman test finds no difference at this level": p_permutation >= 1 - level,
        }
        return pd.DataFrame(
            test._asdict()
            | {
                "p_permutation": p_permutation,
                "p_floor": p_floor,
                "average_rank": average,
                "cd": cd,
                "not_different_from": _near(
                    average, cd, [display_names.candidate(model, method) for model, method in means.columns]
                ),
                "note": _joined(*(text for text, holds in notes.items() if holds)),
            },
            index=means.columns,
        )


def _near(average, cd, names):
    differences = np.abs(average[:, None] - average)
    near = (differences < cd - 1e-9) & ~np.eye(len(average), dtype=bool)
    return ["; ".join(name for name, holds in zip(names, row, strict=True) if holds) or "none" for row in near]


def _joined(*notes):
    return "; ".join(note for note in notes if note)
