"""CLINC150: short questions to an assistant, classified by intent."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.advice import RERUN_DOWNLOAD
from variability.data.datasets import Dataset, Examples
from variability.data.datasets._files import downloaded
from variability.errors import UserError
from variability.io.files import read_json

_COMMIT = "828f8093932c8fe6ca7936c3d2e52903b1c523de"
_FILES = {
    "full": "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
    "small": "050e17476e6b4fa88f8518edaf09921c8f5e3a86dc8b63615361102a20b2ac01",
    "imbalanced": "4886730b20c51eece26aa392ecae2717bfe9908680419e96255351c6148eb4cc",
    "oos_plus": "bfcca9ae515623541dc1983c94c4ed7cae9d26b42ae47d74b972e51bb6f7a21f",
}
_PARTITIONS = {"train": "train", "val": "validation", "test": "test"}
_OUT_OF_SCOPE = "oos"


class Clinc150(Dataset):
    """150 intents of ten domains, as shipped in train, validation and test (Larson et al., EMNLP 2019; CC BY 3.0).

    ``version``: full (100 training examples a class), small (50), imbalanced (25 to 100) or oos_plus (as full, with
    more questions out of scope). ``out_of_scope``: whether to include questions without an intent, as one more class.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "version": {"enum": list(_FILES), "default": "full", "description": "which training examples it has"},
        "out_of_scope": {
            "type": "boolean",
            "default": False,
            "description": "whether questions without an intent are a class",
        },
    }
    MODALITY: ClassVar[str] = "text"
    SPLIT: ClassVar[dict] = {"validation": "shipped"}

    def is_remote(self) -> bool:
        return True

    def download(self, folder: Path, fetcher: Any) -> None:
        url = f"https://raw.githubusercontent.com/clinc/oos-eval/{_COMMIT}/data/{self._file}"
        fetcher.fetch(url, folder / self._file, f"sha256:{_FILES[self._version]}")

    def load(self, folder: Path | None) -> Examples:
        path = downloaded(folder) / self._file
        try:
            parts = read_json(path)
            scopes = ("", f"{_OUT_OF_SCOPE}_") if self.option("out_of_scope") else ("",)
            rows = [
                (text, intent, partition)
                for name, partition in _PARTITIONS.items()
                for scope in scopes
                for text, intent in parts[scope + name]
            ]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path} cannot be read ({error!r}); {RERUN_DOWNLOAD}") from error
        texts, intents, partition = zip(*rows, strict=True)
        names = sorted(set(intents))
        labels = np.searchsorted(names, intents)
        return Examples(labels.astype(np.int64), names, np.array(partition), texts.__getitem__)

    @property
    def _version(self) -> str:
        return self.option("version")

    @property
    def _file(self) -> str:
        return f"data_{self._version}.json"
