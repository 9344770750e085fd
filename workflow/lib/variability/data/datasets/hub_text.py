"""Texts of a data set on the Hugging Face hub, downloaded by the library ``datasets``."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from variability.advice import RERUN_DOWNLOAD, suggest
from variability.data.datasets import PARTITIONS, Dataset, Examples, _text_tables
from variability.data.datasets._files import downloaded
from variability.data.datasets._rows import TableFile
from variability.errors import Problem, UserError
from variability.io import model_hub
from variability.io.files import read_json, write_json

_NAMES = "class_names.json"


class HubText(Dataset):
    """A data set of the hub at a revision, stored as parquet. No code of a data set is run.

    Only ``download`` uses the network. ``partitions``: the data set's splits for training, validation and testing, such
    as {train: train, test: validation} if the test labels are hidden, as in GLUE.
    """

    EXTRA: ClassVar[str | None] = "transformers"
    NEEDS: ClassVar[tuple[str, ...]] = ("datasets",)
    OPTIONS: ClassVar[dict[str, dict]] = {
        "name": {"type": "string", "description": "organisation/name"},
        "config": {"type": "string", "description": "one of its configurations"},
        "revision": {"type": "string", "minLength": 1, "description": "a commit, or a tag"},
        "partitions": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {partition: {"type": "string"} for partition in PARTITIONS},
            "description": "splits of the data set to use as train, validation and test",
        },
        **_text_tables.OPTIONS,
    }
    REQUIRED: ClassVar[tuple[str, ...]] = ("name", "revision")
    MODALITY: ClassVar[str] = "text"
    KINDS: ClassVar[tuple[str, ...]] = ("classification", "regression")

    def kinds(self) -> tuple[str, ...]:
        return _text_tables.kinds(self.options)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        if not model_hub.is_hub_id(self.options["name"]):
            yield Problem("name", f"{self.options['name']!r} is not a name of the hub: organisation/name")
        yield from _text_tables.check(self.options)
        if "train" not in self.options.get("partitions", {"train": "train"}):
            yield Problem("partitions", "missing 'train'")

    def is_remote(self) -> bool:
        return True

    def download(self, folder: Path, fetcher: Any) -> None:
        import datasets

        options = self.options
        cache = folder / ".cache"
        try:
            loaded = datasets.load_dataset(
                options["name"], options.get("config"), revision=options["revision"], cache_dir=str(cache)
            )
        except Exception as error:
            # The library raises its own exceptions, those of the hub's client and those of the network.
            raise UserError(
                f"{options['name']}: {type(error).__name__}: {error}. Check name, config and revision; without a "
                "network, provide the data as a text_table"
            ) from error
        chosen = options.get("partitions") or {split: split for split in PARTITIONS if split in loaded}
        for partition, split in chosen.items():
            if split not in loaded:
                raise UserError(f"{options['name']} has no split {split!r}; {suggest(split, list(map(str, loaded)))}")
            loaded[split].to_parquet(folder / f"{partition}.parquet")
        names = self._class_names(loaded[chosen["train"]].features)
        write_json(folder / _NAMES, names)
        shutil.rmtree(cache, ignore_errors=True)

    def load(self, folder: Path | None) -> Examples:
        paths = [(split, downloaded(folder) / f"{split}.parquet") for split in PARTITIONS]
        files = [TableFile(path, path.name, split) for split, path in paths if path.is_file()]
        try:
            class_names = read_json(downloaded(folder) / _NAMES)
        except (OSError, ValueError) as error:
            raise UserError(f"{error}; {RERUN_DOWNLOAD}") from error
        return _text_tables.examples(files, self.options, class_names)

    def _class_names(self, features: Any) -> list[str] | None:
        """Return the names of the classes if the data set ships them."""
        return getattr(features.get(self.options.get("label", "label")), "names", None)
