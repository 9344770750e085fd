"""Stage ``page``: the report page, with all tables and runs of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from variability.data.prepared_task import PreparedTask
from variability.io.artefacts import require_listed
from variability.io.files import write_text
from variability.reporting import display_names
from variability.reporting.page import document, example_data
from variability.results import analysis_tables, base_tables, imported_predictions
from variability.results.columns import RUN
from variability.results.predictions import Predictions

#: Other results of the study that the page links to: text, and path from its folder.
LINKS = (
    ("Summary as text", "summary.md"),
    ("All claims", "../claim/claims.md"),
    ("Figures for papers", "../plot/"),
    ("Tables as CSV", "../analyse/"),
    ("All runs", "../aggregate/runs.csv"),
    ("Report with provenance", "report.html"),
    ("Record of all files, with checksums", "../ro-crate-metadata.json"),
)
#: Documentation next to ``results`` in a checkout, and its path from the page.
DOCS = (Path("docs/statistics"), "../../../docs/")


def page(
    spec: Mapping[str, Any],
    base: Sequence[Path],
    tables: Sequence[Path],
    html: Path,
    predictions: Sequence[Path] = (),
    tasks: Sequence[Path] = (),
) -> None:
    """Write the report page, one file that needs no network.

    spec: ``study``, ``captions`` of the analyses, and ``recipes``, see ``document.Contents``. base: parquet files of
    the base tables, and of the predictions of imported runs; tables: of analyses and claims; both with their names as
    file names. predictions: manifests of ``predict``. tasks: task.json of each task that is trained here.
    """
    base = [require_listed(Path(path)) for path in base]
    imported = [path for path in base if path.name == imported_predictions.FILE]
    frames = {path.stem: base_tables.read(path) for path in base if path not in imported}
    frames |= {Path(path).stem: analysis_tables.read(require_listed(Path(path))) for path in tables}
    frames = {name: display_names.in_one_line(table) for name, table in frames.items()}
    runs = frames["runs"]
    contents = document.Contents(
        study=spec["study"],
        tables=frames,
        captions=spec["captions"],
        recipes=spec["recipes"],
        examples=_examples(runs, predictions, tasks, imported),
        links=LINKS,
        docs=DOCS[1] if DOCS[0].is_dir() else "",
    )
    write_text(html, document.render(contents))


def _examples(
    runs: pd.DataFrame, predictions: Sequence[Path], tasks: Sequence[Path], imported: Sequence[Path]
) -> dict[str, Any]:
    known: dict[str, Any] = {
        task: example_data.Named(names.sources, names.classes)
        for path in imported
        for task, names in imported_predictions.names(path).items()
    }
    known |= {Path(task).parent.name: PreparedTask.open(task) for task in tasks}
    if not known:
        return {}
    first = runs.drop_duplicates(RUN)
    numbers = {key: number for number, key in enumerate(first[RUN].itertuples(index=False, name=None))}
    repeated = set(first.loc[first["repeats"].notna(), "method"])
    of_runs = Predictions.from_manifests(predictions)
    for path in imported:
        of_runs = of_runs.with_others(imported_predictions.readers(path))
    of_runs = of_runs.only([cell for cell in of_runs.cells if cell[2] not in repeated])
    return example_data.of_tasks(of_runs, known, numbers)
