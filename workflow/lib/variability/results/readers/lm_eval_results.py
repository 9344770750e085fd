"""Results of lm-evaluation-harness without samples: results_<time>.json, or results.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from variability.errors import UserError
from variability.io.table_readers import Table
from variability.results.readers import WrittenReader, _json_documents, table_of
from variability.results.readers._harness import directions, metric_name, seed_of, shots_of

_EXPECTED = "`format: lm_eval_results` reads the results_<time>.json that lm_eval writes to its --output_path"


class LmEvalResults(WrittenReader):
    """One row per task and metric, with its standard error over examples (``acc_stderr``) and their number.

    Groups, whose scores are means of their tasks, are left out. The names of filters other than none are part of those
    of metrics, as in ``exact_match,strict-match``. A standard error of N/A is missing.
    """

    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        role: (role,) for role in ("model", "task", "seed", "metric", "value", "stderr", "n_test")
    }
    CONSTANTS: ClassVar[Mapping[str, str]] = {"method": "evaluated"}
    PATTERNS = ("results_*.json", "results.json")

    def table(self, path: Path) -> Table:
        document = _document(path)
        groups = {*(document.get("groups") or {})}
        config, samples = document.get("config") or {}, document.get("n-samples") or {}
        model = str(document.get("model_name") or config.get("model_args") or path.parent.name)
        rows: list[dict[str, str | None]] = []
        for task, values in document["results"].items():
            if task in groups or not isinstance(values, dict):
                continue
            size = samples.get(task)
            run = {
                **{"model": model, "task": task, "seed": seed_of(config), "num_fewshot": shots_of(document, task)},
                "n_test": str(size["effective"]) if isinstance(size, dict) and "effective" in size else None,
            }
            rows += [run | scores for scores in _scores(values)]
        if not rows:
            raise UserError(f"{path} has no scores of a task; {_EXPECTED}")
        return table_of(path, rows, [1] * len(rows), "record")

    def facts(self, paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
        facts: dict[str, dict[str, Any]] = {}
        for path in paths:
            document = _document(path)
            for task in document["results"]:
                facts |= directions(document, task)
        return facts


def _scores(values: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """Return metric, value and standard error of each score of a task."""
    rows = []
    for key, value in values.items():
        metric, _, used = key.partition(",")
        if not _is_number(value) or metric.endswith("_stderr") or not used:
            continue
        error = values.get(f"{metric}_stderr,{used}")
        rows.append(
            {
                **{"metric": metric_name(key), "value": json.dumps(value)},
                "stderr": json.dumps(error) if _is_number(error) else None,
            }
        )
    return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _document(path: Path) -> dict[str, Any]:
    document = _json_documents.document(path)
    if not isinstance(document, dict) or not isinstance(document.get("results"), dict):
        raise UserError(f"{path} has no `results`; {_EXPECTED}")
    return document
