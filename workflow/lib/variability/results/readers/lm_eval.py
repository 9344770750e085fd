"""Sample logs of lm-evaluation-harness (``--log_samples``): samples_<task>_<time>.jsonl and results_<time>.json."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from variability.errors import UserError
from variability.io import json_records
from variability.io.table_readers import Table
from variability.results.predictions import SCORES
from variability.results.readers import WrittenReader, table_of
from variability.results.readers._harness import NO_FILTER, directions, seed_of, shots_of

_log = logging.getLogger(__name__)

_NAME = re.compile(r"samples_(?P<task>.+?)_(?P<time>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d[.\d]*)\.jsonl")
#: Fields that are long and hold no score.
_LEFT_OUT = ("arguments", "resps", "filtered_resps", "metrics")
_EXPECTED = (
    "`format: lm_eval` reads lines with doc_id, metrics and a value of each metric, as `lm_eval --log_samples` writes"
)
#: Relative difference between a reported metric and the mean of its scores up to which it is rounding.
_ROUNDING = 1e-6


class LmEval(WrittenReader):
    """One row per example and metric, with the fields of its document as ``doc.<field>``, which may be groups.

    A metric is the mean of its scores over the examples. One whose reported value is another, such as a perplexity or a
    corpus BLEU, has no scores of examples and is left out, which the log says. The names of filters other than none
    are added, as in ``exact_match,strict-match``.

    With ``examples: classification`` the rows are multiple-choice questions: the log-likelihoods of the choices are
    logits, and the most likely choice is the prediction.
    """

    EXAMPLES = SCORES
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **{role: (role,) for role in ("model", "task", "seed", "y_true", "logits")},
        **{"example_id": ("doc_id",), "metric": ("metric",), "score": ("score",)},
    }
    CONSTANTS: ClassVar[Mapping[str, str]] = {"method": "evaluated"}
    PATTERNS = ("samples_*.jsonl", "samples_*.jsonl.gz")

    def companions(self, path: Path) -> list[Path]:
        name = _NAME.match(path.name)
        results = path.with_name(f"results_{name['time']}.json") if name else None
        return [results] if results is not None and results.is_file() else []

    def is_companion(self, path: Path) -> bool:
        return path.name.startswith("results_") and path.suffix == ".json"

    def table(self, path: Path) -> Table:
        run, results = self._run(path), self._results(path)
        read = json_records.read(path, self.spec)
        if any("doc_id" not in record or "metrics" not in record for record in read.records):
            row = next(row for row, record in enumerate(read.records) if not {"doc_id", "metrics"} <= record.keys())
            lacking = "doc_id" if "doc_id" not in read.records[row] else "metrics"
            raise UserError(f"{path}, {read.unit} {read.numbers[row]}: no {lacking}; {_EXPECTED}")
        if self.spec.get("examples", SCORES) != SCORES:
            rows = [
                run | _document(record) | _choice(record, f"{path}, {read.unit} {number}")
                for record, number in zip(read.records, read.numbers, strict=True)
            ]
            return table_of(path, rows, read.numbers, read.unit)
        rows, numbers = [], []
        for record, number in zip(read.records, read.numbers, strict=True):
            for metric in json.loads(record["metrics"] or "[]"):
                if _is_number(record.get(metric)):
                    rows.append(run | _document(record) | {"metric": _key(metric, record), "score": record[metric]})
                    numbers.append(number)
        retained = _means(path, rows, results)
        if not retained:
            raise UserError(f"{path}: no metric is the mean of scores of examples; {_EXPECTED}")
        chosen = [index for index, row in enumerate(rows) if row["metric"] in retained]
        return table_of(path, [rows[index] for index in chosen], [numbers[index] for index in chosen], read.unit)

    def facts(self, paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
        facts: dict[str, dict[str, Any]] = {}
        for path in paths:
            facts |= directions(self._results(path), str(self._run(path)["task"]))
        return facts

    def _run(self, path: Path) -> dict[str, str | None]:
        """Return the columns that all rows of a file share."""
        name, results = _NAME.match(path.name), self._results(path)
        config = results.get("config") or {}
        task = name["task"] if name else path.name.partition(".")[0].removeprefix("samples_")
        tasks = [known for known in results.get("configs") or {} if _plain(known) == _plain(task)]
        task = tasks[0] if len(tasks) == 1 else task
        return {
            "model": str(results.get("model_name") or path.parent.name),
            "task": task,
            "seed": seed_of(config),
            "num_fewshot": shots_of(results, task),
            "time": name["time"] if name else None,
        }

    def _results(self, path: Path) -> dict[str, Any]:
        for companion in self.companions(path):
            try:
                document = json.loads(companion.read_text(encoding="utf-8"))
            except ValueError as error:
                raise UserError(f"{companion} is not valid JSON: {error}; copy it again") from error
            if isinstance(document, dict):
                return document
        return {}


def _plain(task: str) -> str:
    """Return the name of a task without the characters that the program replaces in names of files."""
    return re.sub(r"\W", "_", task)


def _document(record: Mapping[str, str | None]) -> dict[str, str | None]:
    metrics = json.loads(record["metrics"] or "[]")
    return {name: value for name, value in record.items() if name.split(".")[0] not in (*_LEFT_OUT, *metrics)}


def _key(metric: str, record: Mapping[str, str | None]) -> str:
    used = record.get("filter") or NO_FILTER
    return metric if used == NO_FILTER else f"{metric},{used}"


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and not math.isnan(float({"true": "1", "false": "0"}.get(text, text)))
    except ValueError:
        return False


def _choice(record: Mapping[str, str | None], position: str) -> dict[str, str | None]:
    """Return the right choice of a question, and the log-likelihoods of all choices."""
    try:
        responses = json.loads(record.get("filtered_resps") or "")
        likelihoods = [float(response[0]) for response in responses]
        target = int(record.get("target") or "")
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise UserError(
            f"{position}: this is not a multiple-choice question with the log-likelihood of each choice; leave out "
            "`examples: classification`, or this task"
        ) from error
    return {"y_true": str(target), "logits": json.dumps(likelihoods)}


def _means(path: Path, rows: Sequence[Mapping[str, str | None]], results: Mapping[str, Any]) -> set[str]:
    """Return the metrics that are the means of their scores."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        text = str(row["score"])
        scores.setdefault(str(row["metric"]), []).append(float({"true": "1", "false": "0"}.get(text, text)))
    reported = (results.get("results") or {}).get(rows[0]["task"], {}) if rows else {}
    retained = set()
    for metric, values in scores.items():
        value = reported.get(metric if "," in metric else f"{metric},{NO_FILTER}")
        mean = math.fsum(values) / len(values)
        if not isinstance(value, int | float) or abs(mean - value) <= _ROUNDING * max(1.0, abs(value)):
            retained.add(metric)
        else:
            _log.warning("%s: %s is left out: it is %g, and the mean of its examples %g", path, metric, value, mean)
    return retained
