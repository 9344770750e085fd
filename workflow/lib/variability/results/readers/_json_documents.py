"""JSON files that hold one document."""

import json
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io.files import shallow


def document(path: Path) -> Any:
    """Return the content of a file. Raises UserError if it is not valid JSON."""
    try:
        with shallow():
            return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}; copy it again") from error
