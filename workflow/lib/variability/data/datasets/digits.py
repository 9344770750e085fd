"""The 1,797 handwritten digits that scikit-learn ships: 8 x 8 pixels, 10 classes, no partitions."""

import importlib.util
from pathlib import Path

import numpy as np

from variability.data.datasets import Dataset, Examples
from variability.errors import UserError


class Digits(Dataset):
    """Optical recognition of handwritten digits (E. Alpaydin and C. Kaynak, UCI, 1998), its test part."""

    def size(self) -> dict[str, int]:
        return {"": 1797}

    def load(self, folder: Path | None) -> Examples:
        # Read from the file, because importing scikit-learn takes seconds.
        spec = importlib.util.find_spec("sklearn")
        if spec is None or spec.origin is None:
            raise UserError("the digits are part of scikit-learn, which is not installed; install the core environment")
        table = np.loadtxt(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
        # Pixels are from 0 to 16.
        images = np.round(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        return Examples(
            labels=table[:, -1].astype(np.int64),
            class_names=[str(digit) for digit in range(10)],
            partition=np.full(len(images), "", dtype="<U10"),
            read=images.__getitem__,
        )
