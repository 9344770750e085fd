"""Stored activations before the head as one vector per example, read without torch."""

from pathlib import Path

import numpy as np

from variability.io import artefacts

#: File next to the manifest, see ``stored_features``.
FILE = "activations.npy"
#: Examples that are converted at a time.
_BATCH = 1024


class PooledFeatures:
    """Vectors of the examples of a task: stored activations, averaged over positions where there are several.

    manifest: of the rule ``features``. ``reason``: why there are no vectors; None if there are. ``sha256``: of the
    activations.
    """

    def __init__(self, manifest: Path):
        content = artefacts.read_features(manifest)
        self.sha256: str | None = content.get("sha256")
        self.reason: str | None = None
        self._file, self._layout = manifest.parent / FILE, content.get("activations", {})
        if not content["stored"]:
            self.reason = f"no reference probe: {content['reason']}"
        elif self._layout["each"] != "example":
            self.reason = "no reference probe: the network has no single vector per example before its head"

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of rows of the task, (len(rows), features) float64, without augmentation.

        Raises UserError if the file is not the one that the manifest describes.
        """
        assert self.sha256 is not None, "activations are stored"
        artefacts.require(self._file, self.sha256, "features")
        # The entries of the examples come first, then those of augmented views.
        stored = np.load(self._file, mmap_mode="r", allow_pickle=False)
        batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
        width = [] if batches else [np.zeros((0, 1))]
        return np.concatenate([*width, *(_pooled(self._numbers(stored[batch])) for batch in batches)])

    def _numbers(self, bits: np.ndarray) -> np.ndarray:
        """Return stored activations as numbers: half precision of either kind is stored as 16-bit integers."""
        if self._layout["form"] == "bf16":
            return (bits.astype(np.uint32) << 16).view(np.float32)
        return bits.view(np.float16) if self._layout["form"] == "fp16" else bits


def _pooled(activations: np.ndarray) -> np.ndarray:
    """Return (n, features) of (n, features), of maps (n, features, height, width), or of tokens (n, length, features).

    The average is what a linear head before a global average pooling depends on.
    """
    exact = activations.astype(np.float64)
    return exact.reshape(len(exact), -1) if exact.ndim == 2 else exact.mean(axis=1 if exact.ndim == 3 else (2, 3))
