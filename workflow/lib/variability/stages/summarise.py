"""Stage ``summarise``: the findings of the study on one page."""

from collections.abc import Sequence
from pathlib import Path

from variability.io.artefacts import REMARKS, read_record, require_listed
from variability.io.files import write_text
from variability.reporting import data_notes, display_names
from variability.reporting.summary import with_answer
from variability.reporting.text_format import as_page
from variability.results import analysis_tables, base_tables


def summarise(
    study: str, runs: Path, tables: Sequence[Path], markdown: Path, answer: Path, page: Path, tasks: Sequence[Path] = ()
) -> None:
    """Write the summary of a study as Markdown and as a page, and its beginning, which the terminal shows, as text.

    runs: the runs table. tables: those of the analyses and of the claims, with their names as file names. tasks:
    task.json of each task that is trained here, in a folder of the task's name.
    """
    frames = {Path(path).stem: analysis_tables.read(require_listed(Path(path))) for path in tables}
    frames |= {"runs": base_tables.read(require_listed(runs))}
    remarks = data_notes.notes({Path(task).parent.name: read_record(task, REMARKS) for task in tasks})
    escaped = {name: display_names.for_markdown(table) for name, table in frames.items()}
    text, beginning = with_answer(escaped, study, remarks)
    write_text(markdown, text)
    write_text(answer, display_names.plain(beginning))
    write_text(page, as_page(display_names.plain(text), study))
