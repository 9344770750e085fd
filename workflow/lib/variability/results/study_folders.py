"""Folders of finished studies, and messages on paths that are none."""

from pathlib import Path

from variability.advice import listed

#: Runs table in the folder of a study.
TABLE = Path("aggregate", "runs.parquet")


def absent(path: Path) -> str:
    """Return that a path of a study or table does not exist, and what to do."""
    if finished := _finished(path.absolute().parent):
        return f"there is no file or folder {path}; finished studies in {path.parent}: {listed(finished)}"
    return (
        f"there is no file or folder {path.absolute()}; run the study first (`make study STUDY=my-study.yaml`) and "
        "name its folder, results/<study>, or name a table of runs"
    )


def unfinished(folder: Path) -> str:
    """Return that a folder is not that of a finished study, and what to do."""
    problem = f"{folder} is not the folder of a finished study, because it has no {TABLE}"
    if finished := _finished(folder):
        return f"{problem}; finished studies in it: {listed(finished)}"
    return f"{problem}; let the study finish, or name a table of runs"


def _finished(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if (path / TABLE).is_file())
