"""Images, all of one size."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.data.datasets import UnreadableExamples
from variability.data.modalities import Modality
from variability.errors import UserError
from variability.io import mapped_arrays
from variability.io.files import replacing

if TYPE_CHECKING:
    import torch

    from variability.data.datasets import Examples

#: Images that one thread reads at a time.
_CHUNK = 256


class Image(Modality):
    """``size``: side in pixels; ``color``: rgb or grey. Stored as uint8 (n, channels, size, size)."""

    OPTIONS: ClassVar[dict[str, dict]] = {
        "size": {
            "type": "integer",
            "minimum": 8,
            "maximum": 1024,
            "description": "side of the stored images in pixels",
        },
        "color": {"enum": ["rgb", "grey"], "default": "rgb", "description": "channels of the stored images"},
    }
    REQUIRED: ClassVar[tuple[str, ...]] = ("size",)
    INPUTS_MODULE: ClassVar[str] = "variability.data.modalities._images"
    PREVIEWS_MODULE: ClassVar[str | None] = "variability.data.modalities._image_previews"
    AUGMENTED: ClassVar[bool] = True

    def write(self, path: Path, examples: Examples, rows: np.ndarray, label: str, threads: int) -> dict[str, Any]:
        from tqdm import tqdm

        from variability.io import image_files

        size, color = self.options["size"], self.options["color"]
        channels = 1 if color == "grey" else 3
        with replacing(path) as temporary:
            shape = (len(rows), channels, size, size)
            stored = mapped_arrays.create(temporary, np.uint8, shape)

            unreadable: dict[int, str] = {}

            def write_chunk(start: int) -> int:
                chunk = rows[start : start + _CHUNK]
                for index, row in enumerate(chunk, start):
                    try:
                        stored[index] = image_files.fit(examples.read(int(row)), size, color)
                    except UserError as error:
                        unreadable[int(row)] = str(error)
                return len(chunk)

            interval = 0.2 if sys.stderr.isatty() else 30.0
            with (
                ThreadPoolExecutor(threads) as pool,
                tqdm(desc=label, total=len(rows), unit="image", file=sys.stderr, mininterval=interval, delay=2) as bar,
            ):
                futures = [pool.submit(write_chunk, start) for start in range(0, len(rows), _CHUNK)]
                try:
                    for future in futures:
                        bar.update(future.result())
                finally:
                    pool.shutdown(cancel_futures=True)
            if unreadable:
                raise UnreadableExamples(label, dict(sorted(unreadable.items())), len(rows))
            stored.flush()
        return {"channels": channels, "size": size}

    def example_batch(self, provider: Any, facts: dict[str, Any]) -> torch.Tensor:
        import torch

        side = provider.preprocess(facts["size"])["size"]
        return torch.zeros(2, 3, side, side).contiguous(memory_format=torch.channels_last)
