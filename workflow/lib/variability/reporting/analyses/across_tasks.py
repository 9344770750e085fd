"""Differences between candidates over all tasks together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import listed
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

    Every task must have every candidate. Until then, the candidate or task with the largest share of missing values is
    left out; at a tie the candidate, as long as three remain, and then the first by name. The note names what was left
    out.
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
        from variability.reporting.analyses import _cells

        runs = primary_rows.select(tables["runs"])
        if runs.empty:
            return pd.DataFrame(columns=COLUMNS)
        marked = runs.assign(failed=_cells.failed(runs))
        cells = marked.groupby(["task", *CANDIDATE]).agg(
            n=("value", "count"), n_failed=("failed", "sum"), higher=("higher_is_better", "first")
        )
        # Pivoting drops a candidate or task without any value; it must have its row nevertheless.
        means = runs.pivot_table(index="task", columns=CANDIDATE, values="value").reindex(
            index=sorted(runs["task"].unique()), columns=cells.groupby(CANDIDATE).size().index
        )
        tasks, candidates = complete(means.notna().to_numpy())
        ranked_means = means.iloc[tasks, candidates]
        counts = cells[["n", "n_failed"]]
        counts = counts[counts.index.get_level_values("task").isin(ranked_means.index)] if len(candidates) else counts
        table = counts.groupby(CANDIDATE).sum().reindex(means.columns, fill_value=0)
        table = table.assign(
            n_tasks=len(tasks),
            tasks="; ".join(ranked_means.index) or "none",
            n_candidates=len(candidates),
            level=self.option("level"),
        )
        lost = left_out(means, tasks, candidates)
        if len(candidates) < FEWEST_CANDIDATES or len(tasks) < FEWEST_TASKS:
            note = _joined(
                f"not estimable: needs {FEWEST_CANDIDATES} candidates and {FEWEST_TASKS} tasks, of which each has a "
                f"value; there are {len(candidates)} and {len(tasks)}",
                lost,
            )
            table = table.assign(note=note)
        else:
            higher = cells["higher"].groupby("task").first().reindex(ranked_means.index)
            table = table.join(self._ranked(ranked_means, higher)).assign(
                note=lambda rows: rows["note"].where(rows["average_rank"].notna(), "left out: no value on some task")
            )
            table["note"] = [_joined(note, lost) for note in table["note"]]
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


def complete(present: np.ndarray, candidates_left: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of tasks and candidates that leave no missing value in present (tasks, candidates).

    The order of removal is described in ``AcrossTasks``. candidates_left: number of candidates from which on only tasks
    are removed.
    """
    tasks, candidates = (np.arange(size) for size in present.shape)
    while (missing := ~present[np.ix_(tasks, candidates)]).any():
        task_share, candidate_share = missing.mean(axis=1), missing.mean(axis=0)
        enough = len(candidates) > FEWEST_CANDIDATES
        larger = candidate_share.max() > task_share.max() or (candidate_share.max() == task_share.max() and enough)
        if larger and len(candidates) > candidates_left:
            candidates = np.delete(candidates, candidate_share.argmax())
        else:
            tasks = np.delete(tasks, task_share.argmax())
    return tasks, candidates


def _near(average, cd, names):
    differences = np.abs(average[:, None] - average)
    near = (differences < cd - 1e-9) & ~np.eye(len(average), dtype=bool)
    return ["; ".join(name for name, holds in zip(names, row, strict=True) if holds) or "none" for row in near]


def left_out(means: pd.DataFrame, tasks: np.ndarray, candidates: np.ndarray) -> str:
    """Return a note on what is not among the positions of ``complete``; empty if nothing.

    means: (tasks, candidates), with their names.
    """
    # Tasks first: a list that is cut still says over which tasks nothing is decided.
    names = [f"task {task}" for task in means.index.delete(tasks)]
    names += [display_names.candidate(model, method) for model, method in means.columns.delete(candidates)]
    return f"left out, because results are missing: {listed(names, 4)}" if names else ""


def _joined(*notes):
    return "; ".join(note for note in notes if note)
