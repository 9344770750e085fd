"""What the provider ``transformers`` does with the library loaded."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import transformers
from torch import nn
from transformers.models.auto import modeling_auto

from variability import seeding
from variability.data.padding import PADDING
from variability.errors import UserError
from variability.io.files import read_json
from variability.models import networks
from variability.models.weight_files import read_tensors

_log = logging.getLogger(__name__)

#: Which of a pair's texts a token is of, beside its id in one number.
_SEGMENT = 1 << 30
#: Names of a network's parts.
BACKBONE = "backbone"
MODEL = f"{BACKBONE}.model"
HEAD = "head"
_TEXTS = 10_000


class Backbone(nn.Module):
    """A model and its pooling: (B, L) tokens, -1 where there is none -> (B, features)."""

    def __init__(self, model: nn.Module, pooling: str):
        super().__init__()
        self.model = model
        self.pooling = pooling
        # What stands where nothing is: no attention is paid to it, but some count positions by it. Where the config
        # names no token (Llama's first conversions say -1) any will do.
        said, known = model.config.pad_token_id, model.get_input_embeddings().num_embeddings
        self.padding = said if said is not None and 0 <= said < known else 0
        self.segments = getattr(model.config, "type_vocab_size", 0) > 1

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        there = tokens != PADDING
        given = {"input_ids": torch.where(there, tokens % _SEGMENT, self.padding), "attention_mask": there.long()}
        if self.segments:
            given["token_type_ids"] = torch.where(there, tokens // _SEGMENT, 0)
        said = self.model(**given)
        if self.pooling == "pooler":
            return said.pooler_output
        hidden = said.last_hidden_state
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "last":
            return hidden[torch.arange(len(hidden), device=hidden.device), there.sum(1) - 1]
        weight = there.unsqueeze(2).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1)


class Classifier(networks.Layered):
    """Backbone, dropout, head: (B, L) tokens -> (B, outputs). features: what the backbone gives of a text."""

    def __init__(self, backbone: Backbone, features: int, dropout: float, outputs: int):
        super().__init__()
        self.backbone = backbone
        self.filler = 1 if backbone.padding == 0 else 0
        self.dropout = nn.Dropout(dropout)
        # skip_init leaves the global generator alone.
        self.head = nn.utils.skip_init(nn.Linear, features, outputs)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.backbone(tokens)))

    def varied(self, tokens: torch.Tensor) -> torch.Tensor:
        after = torch.arange(tokens.shape[1], device=tokens.device) > 1
        second = after & (tokens != PADDING) & self.backbone.segments
        return torch.where(second, tokens + _SEGMENT, tokens)


def build(folder: Path, model: dict[str, Any], outputs: int, weights: Path | None, seed: int) -> networks.Network:
    """A network from the files in ``folder``; see ``Provider.build``. model: a config's entry."""
    options, config = model["options"], config_of(folder)
    for key, value in options.get("config", {}).items():
        if not hasattr(config, key):
            raise UserError(f"models: options.config.{key}: {config.model_type} has no such setting; take it out")
        setattr(config, key, value)
    pooling = options.get("pooling") or _usual_pooling(folder, config)
    with seeding.backbone(seed).torch_global(), quiet(), _usable(model["architecture"], config):
        made = transformers.AutoModel.from_config(config, dtype=torch.float32)
    if pooling == "pooler" and getattr(made, "pooler", None) is None:
        raise UserError(f"models: options.pooling: {config.model_type} has no pooler; use cls, mean or last")
    if pooling != "pooler" and hasattr(made, "pooler"):
        made.pooler = None
    with seeding.backbone(seed).torch_global(), quiet(), _usable(model["architecture"], config):
        backbone = Backbone(made, pooling)
        features = _width(backbone)
    dropout = options.get("dropout", _usual_dropout(config))
    network = as_network(Classifier(backbone, features, dropout, outputs))
    if weights is not None:
        _load(network, weights, options.get("reinit", 0))
    networks.sample_head(network, seed)
    return network


@contextlib.contextmanager
def _usable(architecture: str, config) -> Iterator[None]:
    """Raises UserError where the library's code fails, which may raise anything, on a model that this is not for."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, UserError):
        raise
    except Exception as error:
        raise UserError(
            f"models: architecture: {architecture}: no text classifier can be made of a network of the kind "
            f"{config.model_type} ({type(error).__name__}: {error}); take another architecture"
        ) from error


@torch.no_grad()
def _width(backbone: Backbone) -> int:
    """How many numbers a backbone gives of a text, which its config need not say (OPT projects them).

    Asked of two texts of unequal length. Raises ValueError where it does not give one vector a text.
    """
    tokens, training = torch.tensor([[0, 1], [1, PADDING]]), backbone.training
    found = backbone.eval()(tokens)
    backbone.train(training)
    if found.ndim != 2 or len(found) != len(tokens):
        raise ValueError(f"two texts give numbers of the shape {tuple(found.shape)}, not a vector each")
    return found.shape[1]


def released(folder: Path, source: Path, name: str) -> dict[str, torch.Tensor]:
    """Tensors of a released model by the names they have in our network, its heads left out.

    folder: of its config. source: a file of weights, or an index of several beside it, or one that this workflow wrote.
    """
    if source.suffix != ".json":
        tensors, _ = read_tensors(source)
        if any(key.startswith(f"{MODEL}.") for key in tensors):
            return tensors
    model, absent = whole(folder, source, name, ("pooler.",))
    return {f"{MODEL}.{key}": each.clone() for key, each in model.state_dict().items() if key not in absent}


def whole(folder: Path, source: Path, name: str, optional: tuple[str, ...] = ()) -> tuple[nn.Module, set[str]]:
    """A released model, its heads left out, and the names of its tensors that the release lacks.

    optional: what the names of tensors that may be lacking begin with. Else as ``released``.
    """
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(folder / "config.json", place)
        if source.suffix == ".json":
            for file in (source.name, *set(read_json(source)["weight_map"].values())):
                (Path(place) / file).symlink_to((source.parent / file).absolute())
        else:
            # Tensors that share memory cannot be saved as such.
            tensors = {key: each.clone().contiguous() for key, each in read_tensors(source)[0].items()}
            safetensors.torch.save_file(tensors, Path(place) / "model.safetensors", metadata={"format": "pt"})
        with quiet():
            model, info = transformers.AutoModel.from_pretrained(
                place, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
                ignore_mismatched_sizes=True, output_loading_info=True,
            )  # fmt: skip
    missing = {key for key in info["missing_keys"] if not key.startswith(optional)}
    if missing or info["mismatched_keys"]:
        wrong = sorted(missing) + sorted(str(each) for each in info["mismatched_keys"])
        raise UserError(
            f"{source} does not fit {name}: {len(wrong)} tensors are missing or of another shape, the first is "
            f"{wrong[0]}; correct the model's architecture or weights"
        )
    if info["unexpected_keys"]:
        _log.info("%s: left out: %s", name, ", ".join(sorted(info["unexpected_keys"])))
    return model, set(info["missing_keys"])


def encode(folder: Path, name: str, examples: Sequence[Any], max_length: int) -> tuple[list[list[int]], int]:
    """See ``Provider.encode``; the number of a token of the second text of a pair is _SEGMENT more."""
    config, tokenizer = config_of(folder), tokenizer_of(folder, name)
    longest = min(max_length, tokenizer.model_max_length, _positions(config) or max_length)
    segments = getattr(config, "type_vocab_size", 0) > 1
    ids: list[list[int]] = []
    for at in range(0, len(examples), _TEXTS):
        part = examples[at : at + _TEXTS]
        pairs = [[first for first, _ in part], [second for _, second in part]] if isinstance(part[0], tuple) else [part]
        said = tokenizer(
            *map(list, pairs), truncation=True, max_length=longest, padding=False, return_token_type_ids=segments
        )
        if segments:
            both = zip(said["input_ids"], said["token_type_ids"], strict=True)
            ids += [[each + kind * _SEGMENT for each, kind in zip(*row, strict=True)] for row in both]
        else:
            ids += said["input_ids"]
    return ids, longest


def tokenizer_of(folder: Path, name: str):
    """The tokenizer among a model's files. name: of the model. Raises UserError where there is none."""
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # What is missing, a file or a package, the library says in many ways, and not always rightly.
        raise UserError(
            f"{name}: no tokenizer can be made of its files ({type(error).__name__}: {error}); install what texts need "
            f"anew (`make .venv/.transformers`), or take a model that has a tokenizer.json"
        ) from error


def _positions(config) -> int | None:
    """Tokens that a model has positions for; None where there is no limit.

    Models like RoBERTa count from the number of the padding token on, and have as many positions less.
    """
    said = getattr(config, "max_position_embeddings", None)
    if said is None or said < 1:
        return None
    try:
        with torch.device("meta"), quiet():
            model = transformers.AutoModel.from_config(config)
    except Exception:
        # What cannot be built is told of when it is built.
        return said
    for part in model.modules():
        places = getattr(part, "position_embeddings", None)
        if getattr(places, "padding_idx", None) is not None and hasattr(part, "padding_idx"):
            return len(places.weight) - part.padding_idx - 1
    return said


def config_of(folder: Path):
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if hasattr(config, "use_cache"):
        config.use_cache = False
    return config


def _usual_pooling(folder: Path, config) -> str:
    """As a sentence encoder says; the last token of a decoder, which alone has seen all others; else the first."""
    said = folder / "1_Pooling" / "config.json"
    if said.is_file() and read_json(said).get("pooling_mode_mean_tokens"):
        return "mean"
    kind = config.model_type
    decodes = kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return "last" if decodes and kind not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES else "cls"


def _usual_dropout(config) -> float:
    """That of the library's own classifier."""
    names = ("classifier_dropout", "seq_classif_dropout", "hidden_dropout_prob")
    return next((value for name in names if (value := getattr(config, name, None)) is not None), 0.0)


def as_network(module: nn.Module) -> networks.Network:
    """The network with its blocks, the layers of the model, and with what it is a chain of."""
    lists = {name: part for name, part in module.named_modules() if isinstance(part, nn.ModuleList)}
    if not lists:
        raise UserError(f"{type(module).__name__} has no list of layers; choose another architecture")
    layers = max(lists, key=lambda name: sum(each.numel() for each in lists[name].parameters()))

    def expand(name: str) -> Iterator[str]:
        for child, _ in module.get_submodule(name).named_children():
            whole = f"{name}.{child}" if name else child
            yield from expand(whole) if f"{layers}.".startswith(f"{whole}.") else (whole,)

    chain = list(expand(""))
    return networks.Network(module, HEAD, [name for name in chain if name.startswith(f"{layers}.")], chain)


def _load(network: networks.Network, path: Path, reinit: int) -> None:
    """Loads all of the backbone, but the last ``reinit`` layers and the pooler then, which stay as they were drawn.

    Zhang et al., ICLR 2021, section 4: the top layers of BERT are specialised for its pretraining, and start better
    from random.
    """
    if reinit > len(network.blocks):
        raise UserError(
            f"models: options.reinit: {reinit} is more than the {len(network.blocks)} layers that there are"
        )
    drawn = (*network.blocks[len(network.blocks) - reinit :], *([f"{MODEL}.pooler"] if reinit else []))
    read, _ = read_tensors(path)
    wanted = {
        key: each
        for key, each in network.module.state_dict().items()
        if key.startswith(f"{BACKBONE}.") and not any(key.startswith(f"{part}.") for part in drawn)
    }
    wrong = [key for key, each in wanted.items() if key not in read or read[key].shape != each.shape]
    if wrong:
        remedy = "; use another options.pooling" if "pooler" in wrong[0] else "; correct architecture or options"
        raise UserError(f"{path} lacks {wrong[0]} ({len(wrong)} tensors are missing or of another shape){remedy}")
    network.module.load_state_dict({key: read[key] for key in wanted}, strict=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the library's progress bars and reports: what matters of them is said here."""
    verbosity = transformers.logging.get_verbosity()
    bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()
