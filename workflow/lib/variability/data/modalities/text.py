"""Texts, or pairs of texts."""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np

from variability.data.modalities import Modality
from variability.data.padding import NOTHING
from variability.errors import UserError
from variability.io.files import replacing

_log = logging.getLogger(__name__)

# Bytes that stand in no UTF-8 text.
_END = b"\xff"
_BETWEEN = b"\xfe"


class Text(Modality):
    """``max_length``: tokens of a text, or pair, that a network sees; what is longer is cut off.

    An example is a text, or a tuple of two. Stored is their UTF-8, one after another: a byte 255 ends an example, a
    byte 254 stands between the texts of a pair. Tokens are stored alike: -1 ends those of an example.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "max_length": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100000,
            "default": 128,
            "description": "tokens of a text; the rest is cut off",
        },
    }
    TOKENIZED: ClassVar[bool] = True
    FEED: ClassVar[str] = "variability.data.modalities._tokens"

    def write(self, path, examples, rows, label, threads):
        stored = bytearray()
        for row in rows:
            read = examples.read(int(row))
            each = (read,) if isinstance(read, str) else read
            stored += _BETWEEN.join(_encoded(text, row, label) for text in each) + _END
        with replacing(path) as aside, open(aside, "wb") as handle:
            np.save(handle, np.frombuffer(stored, np.uint8), allow_pickle=False)
        return {"max_length": self.options["max_length"], "pairs": _BETWEEN[0] in stored}

    def encode(self, task, provider):
        texts = [
            tuple(part.decode() for part in example.split(_BETWEEN))
            for example in task.inputs.tobytes().split(_END)[:-1]
        ]
        asked = task.facts["max_length"]
        ids, longest = provider.encode(texts if task.facts["pairs"] else [text for (text,) in texts], asked)
        empty = next((at for at, found in enumerate(ids) if not len(found)), None)
        if empty is not None:
            named = f"example {task.example_ids[empty]} of {task.name}"
            raise UserError(f"{named} has no token: {texts[empty]!r}; take it out")
        lengths = [len(found) for found in ids]
        stored = np.full(sum(lengths) + len(lengths), NOTHING, np.int32)
        at = 0
        for found in ids:
            stored[at : at + len(found)] = found
            at += len(found) + 1
        full = sum(each >= longest for each in lengths)
        if longest < asked:
            name, where = provider.model["architecture"], task.name
            _log.warning("%s: %s takes %d tokens, not %d; %d texts are that long", where, name, longest, asked, full)
        facts = {"texts": len(ids), "tokens": sum(lengths), "longest": max(lengths)}
        return stored, facts | {"max_length": longest, "at_max_length": full}

    def trial(self, provider, facts):
        import torch

        # Of unequal length: what is not there must not be taken for a token.
        return torch.tensor([[0, 1, 1, 0, 1, 1, 1, 0], [1, 0, 1, *[NOTHING] * 5]])


def _encoded(text: str, row: int, task: str) -> bytes:
    """Raises UserError naming the example where a text holds half a character, which JSON can say and UTF-8 cannot."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{task}: the text of example {row} (the first is 0) holds \\u{ord(text[error.start]):04x} at position "
            f"{error.start}, half of a pair and no character by itself; correct the text, or take the example out"
        ) from error
