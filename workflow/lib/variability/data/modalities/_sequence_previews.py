"""Last items of stored sequences."""

from collections.abc import Sequence

import numpy as np

from variability.advice import separable
from variability.data.modalities import StoredExamples

#: Most items that are shown before the last.
ITEMS = 10


def previews(task: StoredExamples, rows: Sequence[int]) -> list[dict[str, str]]:
    """Return the last items of the sequences of some rows, see ``Modality.previews``."""
    bounds, items = np.split(np.asarray(task.inputs), [2 * task.facts["rows"]])
    sequences = (items[slice(*bounds.reshape(-1, 2)[row])][-ITEMS - 1 :].tolist() for row in rows)
    return [{"text": _text(sequence, task.label_names)} for sequence in sequences]


def _text(items: Sequence[int], names: Sequence[str]) -> str:
    *before, last = separable(names[item] if names else item for item in items)
    return f"{'' if names else 'items '}{', '.join(before)}; then {last}"
