"""Folders of finished runs, as users name them."""

from pathlib import Path

from variability.errors import UserError
from variability.stages._records import RECORD


def require(folder: Path) -> None:
    """Raise UserError unless a folder is that of a finished run."""
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}; that of a run is results/<study>/finetune/<model>/<task>/<method>/<seed>"
        )
    if not (folder / RECORD).is_file():
        raise UserError(f"{folder} is not the folder of a finished run: it has no {RECORD}")
