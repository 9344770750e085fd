"""The part of the provider ``transformers`` that imports torch and Transformers."""

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
from variability.advice import plural
from variability.data.padding import PADDING
from variability.errors import UserError
from variability.io.files import read_json
from variability.models import networks
from variability.models.providers._hub import shards
from variability.models.weight_files import read_tensors

_log = logging.getLogger(__name__)

#: Added to the ids of the tokens of a pair's second text, so that one number has both id and segment.
_SEGMENT = 1 << 30
#: Names of the parts of a network.
BACKBONE = "backbone"
MODEL = f"{BACKBONE}.model"
HEAD = "head"
#: Texts that are tokenized at a time.
_TEXTS = 10_000


class Backbone(nn.Module):
    """A model and its pooling: (B, L) tokens, with -1 as padding -> (B, features)."""

    def __init__(self, model: nn.Module, pooling: str):
        super().__init__()
        self.model = model
        self.pooling = pooling
        # No attention is paid to padding, but some models count positions by it. If the config names no valid token
        # (-1 in Llama's first conversions), any token will do.
        pad_token, vocabulary = model.config.pad_token_id, model.get_input_embeddings().num_embeddings
        self.padding = pad_token if pad_token is not None and 0 <= pad_token < vocabulary else 0
        self.segments = getattr(model.config, "type_vocab_size", 0) > 1

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        is_token = tokens != PADDING
        inputs = {
            "input_ids": torch.where(is_token, tokens % _SEGMENT, self.padding),
            "attention_mask": is_token.long(),
        }
        if self.segments:
            inputs["token_type_ids"] = torch.where(is_token, tokens // _SEGMENT, 0)
        outputs = self.model(**inputs)
        if self.pooling == "pooler":
            return outputs.pooler_output
        hidden = outputs.last_hidden_state
        if self.pooling == "cls":
            return hidden[:, 0]
        if self.pooling == "last":
            return hidden[torch.arange(len(hidden), device=hidden.device), is_token.sum(1) - 1]
        weight = is_token.unsqueeze(2).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1)


class Classifier(networks.TokenNetwork):
    """Backbone, dropout, head: (B, L) tokens -> (B, outputs). features: the backbone's for one text."""

    def __init__(self, backbone: Backbone, features: int, dropout: float, outputs: int):
        super().__init__()
        self.backbone = backbone
        self.dummy_token = 1 if backbone.padding == 0 else 0
        self.dropout = nn.Dropout(dropout)
        self.head = networks.undefined_layer(nn.Linear, features, outputs)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.backbone(tokens)))

    def with_marks(self, tokens: torch.Tensor) -> torch.Tensor:
        late = torch.arange(tokens.shape[1], device=tokens.device) > 1
        second = late & (tokens != PADDING) & self.backbone.segments
        return torch.where(second, tokens + _SEGMENT, tokens)


def build(
    folder: Path, model: dict[str, Any], outputs: int, weights: Path | None, seed: int, reinit: int
) -> networks.Network:
    """Return a network from the files in ``folder``; see ``NetworkProvider.build``.

    model: a config's entry. reinit: number of last layers that start from random weights.
    """
    options, config = model["options"], config_of(folder)
    for key, value in options.get("config", {}).items():
        if not hasattr(config, key):
            raise UserError(f"models: options.config.{key}: {config.model_type} has no such setting; remove it")
        setattr(config, key, value)
    pooling = options.get("pooling") or _default_pooling(folder, config)
    with seeding.backbone(seed).torch_global(), quiet(), _usable(model["architecture"], config):
        backbone_model = transformers.AutoModel.from_config(config, dtype=torch.float32)
    if pooling == "pooler" and getattr(backbone_model, "pooler", None) is None:
        raise UserError(f"models: options.pooling: {config.model_type} has no pooler; use cls, mean or last")
    if pooling != "pooler" and hasattr(backbone_model, "pooler"):
        backbone_model.pooler = None
    with seeding.backbone(seed).torch_global(), quiet(), _usable(model["architecture"], config):
        backbone = Backbone(backbone_model, pooling)
        features = _width(backbone)
    dropout = options.get("dropout", _default_dropout(config))
    network = as_network(Classifier(backbone, features, dropout, outputs))
    if weights is not None:
        _load(network, weights, reinit)
    networks.sample_head(network, seed)
    return network


@contextlib.contextmanager
def _usable(architecture: str, config: Any) -> Iterator[None]:
    """Raise UserError if the library's code fails, with any exception, for a model that is not for texts."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, UserError):
        raise
    except Exception as error:
        raise UserError(
            f"models: architecture: {architecture}: a network of the type {config.model_type} cannot be made a "
            f"text classifier ({type(error).__name__}: {error}); choose another architecture"
        ) from error


@torch.no_grad()
def _width(backbone: Backbone) -> int:
    """Return the number of features per text, which a config need not contain (OPT projects them).

    Measured on two texts of unequal length. Raises ValueError if the backbone does not return one vector per text.
    """
    tokens, training = torch.tensor([[0, 1], [1, PADDING]]), backbone.training
    features = backbone.eval()(tokens)
    backbone.train(training)
    if features.ndim != 2 or len(features) != len(tokens):
        raise ValueError(f"for two texts it returns the shape {tuple(features.shape)}, not a vector each")
    return features.shape[1]


def released(folder: Path, source: Path, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a released model, without its heads, by their names in this workflow's networks.

    folder: of its config. source: a file of weights, an index of several files next to it, or a file that this workflow
    wrote. name: of the model, for messages.
    """
    if source.suffix != ".json":
        tensors, _ = read_tensors(source)
        if any(key.startswith(f"{MODEL}.") for key in tensors):
            return tensors
    model, absent = whole(folder, source, name, ("pooler.",))
    return {f"{MODEL}.{key}": tensor.clone() for key, tensor in model.state_dict().items() if key not in absent}


def whole(folder: Path, source: Path, name: str, optional: tuple[str, ...] = ()) -> tuple[nn.Module, set[str]]:
    """Return a released model, without its heads, and the names of its tensors that the release lacks.

    optional: prefixes of the names of tensors that may be missing. Other arguments as in ``released``.
    """
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copy(folder / "config.json", temporary)
        if source.suffix == ".json":
            for file in (source.name, *shards(source)):
                (Path(temporary) / file).symlink_to((source.parent / file).absolute())
        else:
            # Tensors that share memory cannot be saved as such.
            tensors = {key: tensor.clone().contiguous() for key, tensor in read_tensors(source)[0].items()}
            safetensors.torch.save_file(tensors, Path(temporary) / "model.safetensors", metadata={"format": "pt"})
        with quiet():
            model, info = transformers.AutoModel.from_pretrained(
                temporary, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
                ignore_mismatched_sizes=True, output_loading_info=True,
            )  # fmt: skip
    missing = {key for key in info["missing_keys"] if not key.startswith(optional)}
    if missing or info["mismatched_keys"]:
        wrong = sorted(missing) + sorted(map(str, info["mismatched_keys"]))
        raise UserError(
            f"{source} does not fit {name}: {plural(len(wrong), 'tensor is', 'tensors are')} missing or of another "
            f"shape, the first is {wrong[0]}; correct the model's architecture or weights"
        )
    if info["unexpected_keys"]:
        _log.info("%s: not used: %s", name, ", ".join(sorted(info["unexpected_keys"])))
    return model, set(info["missing_keys"])


def encode(folder: Path, name: str, examples: Sequence[Any], max_length: int) -> tuple[list[list[int]], int]:
    """Return the token ids of texts and the largest length, see ``NetworkProvider.encode``.

    _SEGMENT is added to the ids of the second text of a pair.
    """
    config, tokenizer = config_of(folder), tokenizer_of(folder, name)
    longest = min(max_length, tokenizer.model_max_length, _positions(config) or max_length)
    segments = getattr(config, "type_vocab_size", 0) > 1
    ids: list[list[int]] = []
    for start in range(0, len(examples), _TEXTS):
        part = examples[start : start + _TEXTS]
        columns = (
            [[first for first, _ in part], [second for _, second in part]] if isinstance(part[0], tuple) else [part]
        )
        encoded = tokenizer(
            *map(list, columns), truncation=True, max_length=longest, padding=False, return_token_type_ids=segments
        )
        if segments:
            rows = zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)
            ids += [[token + segment * _SEGMENT for token, segment in zip(*row, strict=True)] for row in rows]
        else:
            ids += encoded["input_ids"]
    return ids, longest


def tokenizer_of(folder: Path, name: str) -> transformers.PreTrainedTokenizerBase:
    """Return the tokenizer in a model's folder. name: of the model. Raises UserError if there is none."""
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # The library reports a missing file or package by many exceptions, and not always correctly.
        raise UserError(
            f"{name}: its files make no tokenizer ({type(error).__name__}: {error}); install the environment for texts "
            f"again (`make .venv/.transformers`), or choose a model that has a tokenizer.json"
        ) from error


def _positions(config: transformers.PretrainedConfig) -> int | None:
    """Return the number of tokens that a model has positions for; None if there is no limit.

    Models like RoBERTa count positions from the id of the padding token, so that they have fewer.
    """
    configured = getattr(config, "max_position_embeddings", None)
    if configured is None or configured < 1:
        return None
    try:
        with torch.device("meta"), quiet():
            model = transformers.AutoModel.from_config(config)
    except Exception:
        # ``build`` reports a model that cannot be built.
        return configured
    for part in model.modules():
        positions = getattr(part, "position_embeddings", None)
        if getattr(positions, "padding_idx", None) is not None and hasattr(part, "padding_idx"):
            return len(positions.weight) - part.padding_idx - 1
    return configured


def config_of(folder: Path) -> transformers.PretrainedConfig:
    """Return the config in a model's folder, without caching of attention."""
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if hasattr(config, "use_cache"):
        config.use_cache = False
    return config


def _default_pooling(folder: Path, config: transformers.PretrainedConfig) -> str:
    """Return a sentence encoder's own pooling; or last for a decoder, whose last token depends on all; or cls."""
    path = folder / "1_Pooling" / "config.json"
    if path.is_file() and read_json(path).get("pooling_mode_mean_tokens"):
        return "mean"
    model_type = config.model_type
    decodes = model_type in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return "last" if decodes and model_type not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES else "cls"


def _default_dropout(config: transformers.PretrainedConfig) -> float:
    """Return the dropout of the library's own classifier."""
    names = ("classifier_dropout", "seq_classif_dropout", "hidden_dropout_prob")
    return next((value for name in names if (value := getattr(config, name, None)) is not None), 0.0)


def as_network(module: nn.Module) -> networks.Network:
    """Return the network of a module: its blocks are the layers of the model; its parts run one after another."""
    lists = {name: part for name, part in module.named_modules() if isinstance(part, nn.ModuleList)}
    if not lists:
        raise UserError(f"{type(module).__name__} has no list of layers; choose another architecture")
    layers = max(lists, key=lambda name: sum(parameter.numel() for parameter in lists[name].parameters()))

    def expand(name: str) -> Iterator[str]:
        for child, _ in module.get_submodule(name).named_children():
            path = f"{name}.{child}" if name else child
            yield from expand(path) if f"{layers}.".startswith(f"{path}.") else (path,)

    parts = list(expand(""))
    return networks.Network(module, HEAD, [name for name in parts if name.startswith(f"{layers}.")], parts)


def _load(network: networks.Network, path: Path, reinit: int) -> None:
    """Load the backbone; the last ``reinit`` layers, and with them the pooler, keep their random weights.

    Zhang et al., ICLR 2021, section 4: the top layers of BERT are specialised for pretraining, and random weights are a
    better start.
    """
    if reinit > len(network.blocks):
        raise UserError(
            f"models: options.reinit: {reinit} is more than the network's {plural(len(network.blocks), 'layer')}"
        )
    random = (*network.blocks[len(network.blocks) - reinit :], *([f"{MODEL}.pooler"] if reinit else []))
    stored, _ = read_tensors(path)
    needed = {
        key: tensor
        for key, tensor in network.module.state_dict().items()
        if key.startswith(f"{BACKBONE}.") and not any(key.startswith(f"{part}.") for part in random)
    }
    wrong = [key for key, tensor in needed.items() if key not in stored or stored[key].shape != tensor.shape]
    if wrong:
        advice = "; use another options.pooling" if "pooler" in wrong[0] else "; correct architecture or options"
        raise UserError(
            f"{path} lacks {wrong[0]} ({plural(len(wrong), 'tensor is', 'tensors are')} missing or of another "
            f"shape){advice}"
        )
    network.module.load_state_dict({key: stored[key] for key in needed}, strict=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Turn the library's progress bars and reports off; messages of this module replace the important ones."""
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
