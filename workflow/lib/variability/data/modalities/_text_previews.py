"""Stored texts as people read them."""

from collections.abc import Sequence

from variability.data.modalities import StoredExamples
from variability.data.modalities.text import END, SEPARATOR

#: Most characters of a text that are shown.
LONGEST = 500


def previews(task: StoredExamples, rows: Sequence[int]) -> list[dict[str, str]]:
    """Return the texts of some rows, shortened, see ``Modality.previews``."""
    examples = task.inputs.tobytes().split(END)
    texts = (" / ".join(part.decode() for part in examples[row].split(SEPARATOR)) for row in rows)
    return [{"text": text if len(text) <= LONGEST else f"{text[:LONGEST]}…"} for text in texts]
