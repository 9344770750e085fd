"""Checkpoints of runs and the states from which interrupted fits resume, as safetensors files."""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from variability import advice
from variability.advice import plural
from variability.errors import UserError
from variability.io import files
from variability.models.networks import Network, tensors_digest, trained_tensors

_log = logging.getLogger(__name__)

#: Key of the one entry in a file's safetensors metadata.
_HEADER = "variability"


def save_checkpoint(path: Path, network: Network, trainable: Iterable[str], metadata: Mapping[str, str]) -> None:
    """Write the parts of a network that trained.

    metadata: facts to store with them, among them ``frozen_sha256``, a digest of the other parts.
    """
    trainable = list(trainable)
    _write(path, trained_tensors(network, trainable), {**metadata, "trainable": json.dumps(trainable)})


def load_checkpoint(path: Path, network: Network, trainable: Iterable[str], frozen: Iterable[str]) -> dict[str, str]:
    """Load a checkpoint into a network that was built as the run's was; return the metadata it was saved with.

    frozen: digests of the network's other parts, of which the file has one.
    Raises UserError if the file cannot be read, if its tensors are not those of the named parts, or if it was trained
    on top of another backbone than the network's.
    """
    trainable = list(trainable)
    rerun = f"; {advice.rerun('finetune', Path(path).parent)}"
    try:
        tensors, metadata = _read(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} cannot be read as a checkpoint ({error}){rerun}") from error
    expected = trained_tensors(network, trainable)
    names = sorted(expected.keys() | tensors.keys())
    differing = [name for name in names if _shape_and_type(expected, name) != _shape_and_type(tensors, name)]
    if differing:
        raise UserError(
            f"{path} does not fit the network: {plural(len(differing), 'tensor is', 'tensors are')} missing, "
            f"unexpected or of another shape or type, the first is {differing[0]!r}. Its model, method or number of "
            f"classes has changed{rerun}"
        )
    if metadata.get("frozen_sha256") not in frozen:
        raise UserError(f"{path} was trained on top of another backbone than the network has now{rerun}")
    metadata.pop("trainable", None)
    network.module.load_state_dict(tensors, strict=False)
    return metadata


def save_state(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
    """Write what a fit needs to resume. metadata: JSON values."""
    joined, layout = _join(tensors)
    # Instead of waiting until the file is on the disk, a checksum is stored: a damaged state is ignored and costs an
    # epoch.
    header = {"meta": json.dumps(metadata), "layout": layout, "sha256": tensors_digest(joined)}
    _write(path, joined, header, durable=False)


def load_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return what ``save_state`` wrote; None if the file is missing, or if it is damaged, which is logged."""
    if not Path(path).exists():
        return None
    try:
        joined, header = _read(path)
        metadata = json.loads(header["meta"])
        if header["sha256"] != tensors_digest(joined):
            raise ValueError("its checksum differs")
        return _split(joined, header["layout"]), metadata
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        _log.warning("%s is damaged and is ignored: %s", path, error)
        return None


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return an optimizer's state as tensors and JSON values, for ``unpack_optimizer``."""
    packed = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    state: dict[str, dict[str, Any]] = {}
    for index, entries in packed["state"].items():
        state[str(index)] = {key: value for key, value in entries.items() if not isinstance(value, torch.Tensor)}
        tensors |= {f"{index}.{key}": value for key, value in entries.items() if isinstance(value, torch.Tensor)}
    return tensors, {"state": state, "param_groups": packed["param_groups"]}


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], plain: Mapping[str, Any]
) -> None:
    """Restore what ``pack_optimizer`` returned into an optimizer of the same class over the same parameters."""
    state = {int(index): dict(entries) for index, entries in plain["state"].items()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state[int(index)][key] = _with_layout_of(parameters[int(index)], tensor)
    # JSON turns tuples (betas) into lists, but an optimizer's state must equal what it was.
    groups = [
        {key: tuple(value) if isinstance(current.get(key), tuple) else value for key, value in saved.items()}
        for saved, current in zip(plain["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _join(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, list]]:
    """Concatenate all tensors of a type and device; return these, and the names and shapes of their parts.

    A state has hundreds of tensors, most of them tiny. Written one by one they took a seventh of the time of a small
    network's epoch.
    """
    groups: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        groups.setdefault(f"{tensor.dtype} {tensor.device}", []).append(name)
    joined = {
        group: torch.cat([tensors[name].detach().reshape(-1) for name in names]) for group, names in groups.items()
    }
    return joined, {group: [[name, list(tensors[name].shape)] for name in names] for group, names in groups.items()}


def _split(joined: Mapping[str, torch.Tensor], layout: Mapping[str, list]) -> dict[str, torch.Tensor]:
    """Return the tensors that ``_join`` was called with, on the CPU."""
    tensors = {}
    for group, members in layout.items():
        parts = joined[group].split([math.prod(shape) for _, shape in members])
        tensors |= {name: part.view(shape) for (name, shape), part in zip(members, parts, strict=True)}
    return tensors


def _with_layout_of(parameter: torch.Tensor, moment: torch.Tensor) -> torch.Tensor:
    """Return a parameter's moment in the parameter's memory layout, because fused kernels read both in memory order."""
    return torch.empty_like(parameter).copy_(moment) if moment.shape == parameter.shape else moment


def _shape_and_type(tensors: Mapping[str, torch.Tensor], name: str) -> tuple[torch.Size, torch.dtype] | None:
    return (tensors[name].shape, tensors[name].dtype) if name in tensors else None


def _write(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any], durable: bool = True) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # A single entry of metadata, because safetensors writes several in random order, and equal checkpoints must be
    # equal files.
    with files.replacing(path, durable) as temporary:
        safetensors.torch.save_file(plain, temporary, metadata={_HEADER: json.dumps(header, sort_keys=True)})


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    with safetensors.safe_open(path, framework="pt") as opened:
        header = json.loads((opened.metadata() or {}).get(_HEADER, "{}"))
    return safetensors.torch.load_file(path), header
