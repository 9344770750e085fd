"""Texts, or pairs of texts."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Hashable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.data.modalities import Modality, StoredExamples
from variability.data.padding import PADDING
from variability.errors import UserError
from variability.io.files import replacing

if TYPE_CHECKING:
    import torch

    from variability.data.datasets import Examples

_log = logging.getLogger(__name__)

#: Bytes that occur in no UTF-8 text: the end of an example, and what separates the texts of a pair.
END = b"\xff"
SEPARATOR = b"\xfe"


class Text(Modality):
    """``max_length``: number of tokens of a text, or pair, that a network sees; longer ones are truncated.

    An example is a text, or a tuple of two. Their UTF-8 is stored one after another: a byte 255 ends an example, a byte
    254 separates the texts of a pair. In the array of tokens, PADDING ends an example.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "max_length": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100000,
            "default": 128,
            "description": "number of tokens of a text; the rest is truncated",
        },
    }
    TOKENIZED: ClassVar[bool] = True
    INPUTS_MODULE: ClassVar[str] = "variability.data.modalities._tokens"
    PREVIEWS_MODULE: ClassVar[str | None] = "variability.data.modalities._text_previews"

    def write(self, path: Path, examples: Examples, rows: np.ndarray, label: str, threads: int) -> dict[str, Any]:
        stored = bytearray()
        for row in rows:
            example = examples.read(int(row))
            texts = (example,) if isinstance(example, str) else example
            stored += SEPARATOR.join(_utf8(text, row, label) for text in texts) + END
        with replacing(path) as temporary, open(temporary, "wb") as handle:
            np.save(handle, np.frombuffer(stored, np.uint8), allow_pickle=False)
        return {"max_length": self.options["max_length"], "pairs": SEPARATOR[0] in stored}

    def digests(self, stored: np.ndarray, count: int) -> Sequence[bytes] | None:
        examples = stored.tobytes().split(END)[:-1]
        contents = (
            SEPARATOR.join(_unified(part.decode()).encode() for part in example.split(SEPARATOR))
            for example in examples
        )
        return [blake2b(content, digest_size=16).digest() for content in contents]

    def content(self, example: Any) -> Hashable:
        return _unified(example) if isinstance(example, str) else tuple(map(_unified, example))

    def encode(self, task: StoredExamples, provider: Any) -> tuple[np.ndarray, dict[str, Any]]:
        pairs = [
            tuple(part.decode() for part in example.split(SEPARATOR))
            for example in task.inputs.tobytes().split(END)[:-1]
        ]
        requested = task.facts["max_length"]
        ids, longest = provider.encode(pairs if task.facts["pairs"] else [text for (text,) in pairs], requested)
        empty = next((index for index, tokens in enumerate(ids) if not len(tokens)), None)
        if empty is not None:
            raise UserError(
                f"example {task.example_ids[empty]} of {task.name} has no token: {pairs[empty]!r}; remove it"
            )
        lengths = [len(tokens) for tokens in ids]
        stored = np.full(sum(lengths) + len(lengths), PADDING, np.int32)
        start = 0
        for tokens in ids:
            stored[start : start + len(tokens)] = tokens
            start += len(tokens) + 1
        full = sum(length >= longest for length in lengths)
        if longest < requested:
            architecture = provider.model["architecture"]
            _log.warning(
                "%s: %s takes %d tokens, not %d; %d texts are that long",
                task.name, architecture, longest, requested, full,
            )  # fmt: skip
        facts = {"texts": len(ids), "tokens": sum(lengths), "longest": max(lengths)}
        return stored, facts | {"max_length": longest, "at_max_length": full}

    def example_batch(self, provider: Any, facts: dict[str, Any]) -> torch.Tensor:
        import torch

        # Of unequal length, so that padding must not be mistaken for a token.
        return torch.tensor([[0, 1, 1, 0, 1, 1, 1, 0], [1, 0, 1, *[PADDING] * 5]])


def _unified(text: str) -> str:
    """Return what texts have in common that differ only in blanks, line breaks or the form of accents."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _utf8(text: str, row: int, task: str) -> bytes:
    """Encode a text; raise UserError naming the example if it has half a surrogate pair, which JSON can contain."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{task}: the text of example {row} (the first is 0) has \\u{ord(text[error.start]):04x} at position "
            f"{error.start}, half of a pair and no character by itself; correct the text, or remove the example"
        ) from error
