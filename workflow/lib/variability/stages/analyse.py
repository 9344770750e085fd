"""Stage ``analyse``: the tables of all analyses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability import registry
from variability.io.artefacts import BASE_TABLES, LISTING, PREDICTED, read_record, require_listed, write_checksums
from variability.io.files import digest, sha256
from variability.results import analysis_tables, base_tables, imported_predictions
from variability.results.predictions import verify
from variability.stages import _stored_outputs
from variability.stages._stored_outputs import Output

if TYPE_CHECKING:
    import pandas as pd

    from variability.results.predictions import Predictions

#: Name of the table of predictions of imported runs.
IMPORTED = Path(imported_predictions.FILE).stem
#: Imported once for all processes.
_IMPORTS = ("pandas", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.pandas_compat", "scipy.stats")


def analyse_all(
    chosen: Mapping[str, Mapping[str, Any]],
    code: Mapping[str, Path],
    manifest: Path,
    tables: Mapping[str, Path],
    predictions: Sequence[Path],
    folder: Path,
    threads: int,
) -> None:
    """Write the tables of all analyses and their listing to ``folder``; those that would not change are restored.

    chosen: options by name. code: listing of the code of each. manifest: of ``aggregate``, with the checksums of the
    base tables. tables, predictions: see ``analyse``; an analysis reads those that it NEEDS or USES.
    """
    checksums = read_record(manifest, BASE_TABLES)
    of_predictions = {
        str(path): [run["sha256"]["predictions"] for run in read_record(path, PREDICTED)["runs"]]
        for path in predictions
    }
    outputs, inputs = {}, {}
    for name, options in chosen.items():
        needed = tables_read(name)
        read = {table: path for table, path in tables.items() if table in needed}
        inputs[name] = (read, options, predictions if "predictions" in needed else ())
        parts = {
            "code": sha256(code[name]),
            "options": options,
            "tables": {table: checksums[path.name] for table, path in read.items()},
            "predictions": of_predictions if "predictions" in needed else {},
        }
        outputs[name] = Output(digest(parts), (folder / f"{name}.csv",))
    # Here, and not in the processes of the analyses, which read the same files.
    for path in tables.values():
        require_listed(path)
    if any(read for _, _, read in inputs.values()):
        verify(predictions)
    _stored_outputs.make(outputs, partial(_produce, inputs), folder / ".stored", threads, _IMPORTS)
    write_checksums(folder / LISTING, [f"{name}.csv" for name in chosen])


def tables_read(name: str) -> set[str]:
    """Return the names of the tables that an analysis reads, if the study has them; ``predictions`` are no table."""
    plugin = registry.find("analyses", name)
    needed = {*plugin.NEEDS, *plugin.USES}
    return needed | {IMPORTED} if "predictions" in needed else needed


def _produce(inputs: Mapping[str, tuple], name: str, files: tuple[Path, ...]) -> None:
    tables, options, predictions = inputs[name]
    analyse(name, tables, options, files[0], predictions)


def analyse(
    name: str,
    tables: Mapping[str, Path],
    options: Mapping[str, Any],
    csv: Path,
    predictions: Sequence[Path] = (),
) -> None:
    """Write the table of the analysis ``name`` as CSV, from which names and numbers are read back exactly.

    tables: parquet files of the base tables that it NEEDS or USES. predictions: manifests of ``predict``, if it reads
    predictions.
    """
    analysis_tables.write(answer(name, read(tables, predictions), options), csv)


def read(tables: Mapping[str, Path], predictions: Sequence[Path] = ()) -> dict[str, Any]:
    """Return base tables as analyses take them. Arguments: see ``analyse``."""
    from variability.results.predictions import Predictions

    frames: dict[str, pd.DataFrame | Predictions] = {
        table: base_tables.read(path) for table, path in tables.items() if table != IMPORTED
    }
    if predictions or IMPORTED in tables:
        of_study = Predictions.from_manifests(predictions)
        others = imported_predictions.readers(tables[IMPORTED]) if IMPORTED in tables else {}
        frames["predictions"] = of_study.with_others(others)
    return frames


def answer(name: str, tables: dict[str, Any], options: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table of an analysis. tables: see ``Analysis.table``, with repeated runs."""
    analysis = registry.find("analyses", name)(dict(options))
    return analysis.table(tables if analysis.REPEATS else _without_repeats(tables))


def _without_repeats(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the tables without repeated runs."""
    from variability.results.runs_table import first_runs

    runs = tables["runs"]
    selected = tables | {"runs": first_runs(runs)}
    if "predictions" in selected:
        repeated_methods = set(runs.loc[runs["repeats"].notna(), "method"])
        selected["predictions"] = selected["predictions"].only(
            [cell for cell in selected["predictions"].cells if cell[2] not in repeated_methods]
        )
    return selected
