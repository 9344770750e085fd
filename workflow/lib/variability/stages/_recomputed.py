"""The tables and pages of a finished study, computed again from its predictions and the records of its runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from variability import advice
from variability.advice import agree, plural
from variability.errors import UserError
from variability.io import job_records
from variability.io.job_records import Made
from variability.results.imported_files import by_import
from variability.stages.aggregate import aggregate
from variability.stages.analyse import analyse, tables_read
from variability.stages.claim import claim
from variability.stages.score import score
from variability.stages.summarise import summarise

if TYPE_CHECKING:
    import pandas as pd

_COMPARED = frozenset({".parquet", ".csv", ".md", ".html", ".txt"})
_SHOWN = 60


class Jobs(NamedTuple):
    """The jobs of a study.

    specs: their files, see ``io.job_records``. base_tables: names of the tables that analyses may read. imports: files
    of all imports, but those of ``in_braces``, see ``imported_files.by_import``.
    """

    specs: Sequence[Path] = ()
    base_tables: Sequence[str] = ()
    imports: Sequence[str] = ()
    in_braces: Sequence[tuple[int, str]] = ()


def differences(study: Path, jobs: Jobs) -> Iterator[str]:
    """Compute scores, base tables, tables of analyses, claims and the summary again; yield how they differ.

    study: its folder, which is not changed. Each is computed from what is stored, so a difference is reported where it
    begins. Figures, the page of all tables, and reference probes, which are timed, are not computed again.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for path in jobs.specs:
            try:
                made = job_records.made(path)
            except UserError as error:
                yield str(error)
                continue
            if made is None or made.rule not in _STAGES:
                continue
            again = folder / made.rule
            changed = "" if made.current else f"; the config or the code of {made.rule} changed since"
            try:
                _STAGES[made.rule](made, jobs, study, again)
                for file in sorted(again.rglob("*")):
                    stored = study / _folder(made.rule) / file.relative_to(again)
                    if difference := _difference(stored, file, made.rule):
                        yield difference + changed
            except UserError as error:
                yield str(error)
            except Exception as error:
                # Files that were replaced together with their checksums may hold anything.
                yield (
                    f"{made.rule} cannot be computed again from what is stored ({type(error).__name__}: {error}); "
                    f"restore its inputs, or {advice.rerun(made.rule)}"
                )


def _folder(rule: str) -> str:
    return "report" if rule == "summarise" else rule


def _score(made: Made, jobs: Jobs, study: Path, folder: Path) -> None:
    manifests, (task,) = _inputs(made, study, "predict"), _inputs(made, study, "prepare")
    folder = folder / task.parent.name
    score(manifests, task, made.spec["metrics"], "", folder, folder / "scores.json")


def _aggregate(made: Made, jobs: Jobs, study: Path, folder: Path) -> None:
    scores, runs, probes = (_inputs(made, study, name) for name in ("score", "finetune", "reference_probe"))
    imported = by_import(made.spec["imports"], jobs.imports, jobs.in_braces)
    aggregate(scores, runs, made.spec, folder, imported, probes)


def _analyse(made: Made, jobs: Jobs, study: Path, folder: Path) -> None:
    predictions = _inputs(made, study, "predict")
    for name, options in made.spec["options"].items():
        needed = tables_read(name)
        tables = {table: study / f"aggregate/{table}.parquet" for table in jobs.base_tables if table in needed}
        analyse(name, tables, options, folder / f"{name}.csv", predictions if "predictions" in needed else ())


def _claim(made: Made, jobs: Jobs, study: Path, folder: Path) -> None:
    tables = {path.stem: path for path in _inputs(made, study, "analyse")}
    csv, markdown, page = (folder / f"claims.{suffix}" for suffix in ("csv", "md", "html"))
    claim(made.spec["study"], made.spec["chosen"], tables, csv, markdown, page)


def _summarise(made: Made, jobs: Jobs, study: Path, folder: Path) -> None:
    tables = [*(study / f"analyse/{name}.csv" for name in made.spec["tables"]), *_inputs(made, study, "claim")]
    tasks = [study / f"prepare/{task}/task.json" for task in made.spec["tasks"]]
    names = {"markdown": "summary.md", "answer": "answer.txt", "page": "summary.html"}
    outputs = {name: folder / file for name, file in names.items()}
    summarise(made.spec["study"], study / "aggregate/runs.parquet", tables, tasks=tasks, **outputs)


_STAGES = {"score": _score, "aggregate": _aggregate, "analyse": _analyse, "claim": _claim, "summarise": _summarise}


def _inputs(made: Made, study: Path, stage: str) -> list[Path]:
    """Return the inputs of a job that a stage made, seed chunks in their order."""
    paths = [Path(path) for path in made.inputs if Path(path).is_relative_to(study / stage)]
    return sorted(paths, key=lambda path: (path.parent, len(path.name), path.name))


def _difference(stored: Path, again: Path, rule: str) -> str | None:
    """Return how a stored file differs from that which was computed again; None if it does not, or is not compared."""
    import pyarrow as pa

    if again.suffix not in _COMPARED:
        return None
    try:
        old = _frame(stored)
    except (OSError, ValueError, pa.ArrowException) as error:
        return advice.unreadable(stored, error, rule)
    new = _frame(again)
    if list(old) != list(new):
        return f"{stored} has other columns than were computed again: {', '.join(sorted(set(old) ^ set(new)))}"
    if len(old) != len(new):
        return f"{stored} has {plural(len(old), 'row')}, and {len(new)} {agree(len(new), 'was', 'were')} computed again"
    unequal = {name: (old[name] != new[name]) & ~(old[name].isna() & new[name].isna()) for name in old}
    count = sum(int(column.sum()) for column in unequal.values())
    if not count:
        return None
    name = next(name for name, column in unequal.items() if column.any())
    row = int(unequal[name].to_numpy().argmax())
    values = f"{_shown(old, name, row)} is stored, {_shown(new, name, row)} was computed"
    return f"{stored}: {count} of {old.size} values differ from those computed again; {name}, row {row + 1}: {values}"


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
        # As texts: pandas cannot compare lists, such as the probabilities of imported runs.
        texts = {name: [None if value is None else str(value) for value in table[name].to_pylist()] for name in nested}
        return table.to_pandas().assign(**texts)
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    return pd.DataFrame({"text": path.read_text(encoding="utf-8").splitlines()})


def _shown(frame: pd.DataFrame, name: str, row: int) -> str:
    value: Any = frame[name].iloc[row]
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
