"""Checkpoints of runs and the state from which an interrupted run resumes, as safetensors files."""

import json
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from variability import advice
from variability.errors import UserError
from variability.io import files
from variability.models.networks import Network, tensors_digest, trained_tensors

_log = logging.getLogger(__name__)

_HEADER = "variability"


def save_checkpoint(path: Path, network: Network, trainable: Iterable[str], meta: dict[str, str]) -> None:
    """Writes the parts that trained.

    meta: facts to keep with it, as strings, ``frozen_sha256`` among them: the ``frozen_digest`` of what did not train.
    """
    trainable = list(trainable)
    header = meta | {"trainable": json.dumps(trainable)}
    _write(path, trained_tensors(network, trainable), header)


def load_checkpoint(path: Path, network: Network, trainable: Iterable[str], frozen_sha256: str) -> dict[str, str]:
    """Loads a checkpoint into a network built as the run's was; returns the ``meta`` it was saved with.

    frozen_sha256: the ``frozen_digest`` of the network.
    Raises UserError if the file cannot be read, holds other tensors than the named parts have, or was trained on top
    of another backbone than the network's.
    """
    trainable = list(trainable)
    again = f"; {advice.rerun('finetune', Path(path).parent)}"
    try:
        tensors, header = _read(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} cannot be read as a checkpoint ({error}){again}") from error
    wanted = trained_tensors(network, trainable)
    differing = [name for name in sorted(wanted.keys() | tensors.keys()) if _make(wanted, name) != _make(tensors, name)]
    if differing:
        raise UserError(
            f"{path} does not fit the network: {len(differing)} tensors are missing, unexpected or of another shape or "
            f"type, the first is {differing[0]!r}. Its model, method or number of classes has changed{again}"
        )
    if header.get("frozen_sha256") != frozen_sha256:
        raise UserError(f"{path} was trained on top of another backbone than the network's weights give now{again}")
    header.pop("trainable", None)
    network.module.load_state_dict(tensors, strict=False)
    return header


def save_state(path: Path, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Writes what a run needs to resume. meta: any JSON value under string keys."""
    joined, layout = _joined(tensors)
    # A checksum stands in for waiting until the disk has it: a damaged state is ignored, and an epoch is lost.
    header = {"meta": json.dumps(meta), "layout": layout, "sha256": tensors_digest(joined)}
    _write(path, joined, header, durable=False)


def load_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """What ``save_state`` wrote, or None where there is no such file or it is damaged (which is logged)."""
    if not Path(path).exists():
        return None
    try:
        joined, header = _read(path)
        meta = json.loads(header["meta"])
        if header["sha256"] != tensors_digest(joined):
            raise ValueError("its checksum differs")
        return _apart(joined, header["layout"]), meta
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        _log.warning("%s is damaged and is ignored: %s", path, error)
        return None


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimizer's state as tensors and JSON values; ``unpack_optimizer`` restores it bit for bit."""
    packed = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    state: dict[str, dict[str, Any]] = {}
    for index, entries in packed["state"].items():
        state[str(index)] = {key: each for key, each in entries.items() if not isinstance(each, torch.Tensor)}
        tensors |= {f"{index}.{key}": each for key, each in entries.items() if isinstance(each, torch.Tensor)}
    return tensors, {"state": state, "param_groups": packed["param_groups"]}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], plain: dict[str, Any]) -> None:
    """Restores what ``pack_optimizer`` gave into an optimizer of the same kind over the same parameters."""
    state = {int(index): dict(entries) for index, entries in plain["state"].items()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state[int(index)][key] = _laid_out_as(parameters[int(index)], tensor)
    # JSON knows no tuples (betas), and an optimizer's state is to be equal to what it was.
    groups = [
        {key: tuple(each) if isinstance(current.get(key), tuple) else each for key, each in saved.items()}
        for saved, current in zip(plain["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _joined(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, list]]:
    """All tensors of a type and device end to end, and name and shape of each: a state has hundreds, mostly tiny.

    Written one by one they took a seventh of the time of a small network's epoch.
    """
    groups: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        groups.setdefault(f"{tensor.dtype} {tensor.device}", []).append(name)
    joined = {
        group: torch.cat([tensors[name].detach().reshape(-1) for name in names]) for group, names in groups.items()
    }
    return joined, {group: [[name, list(tensors[name].shape)] for name in names] for group, names in groups.items()}


def _apart(joined: dict[str, torch.Tensor], layout: dict[str, list]) -> dict[str, torch.Tensor]:
    """What ``_joined`` was given, on the CPU."""
    tensors = {}
    for group, members in layout.items():
        parts = joined[group].split([math.prod(shape) for _, shape in members])
        tensors |= {name: part.view(shape) for (name, shape), part in zip(members, parts, strict=True)}
    return tensors


def _laid_out_as(parameter: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """A parameter's moment with its elements where the parameter's are: fused kernels walk both side by side."""
    return torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor


def _make(tensors: dict[str, torch.Tensor], name: str) -> tuple[torch.Size, torch.dtype] | None:
    return (tensors[name].shape, tensors[name].dtype) if name in tensors else None


def _write(path: Path, tensors: dict[str, torch.Tensor], header: dict[str, str], durable: bool = True) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry, because safetensors writes several in random order, and equal checkpoints are to be equal files.
    with files.replacing(path, durable) as aside:
        safetensors.torch.save_file(plain, aside, metadata={_HEADER: json.dumps(header, sort_keys=True)})


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safetensors.safe_open(path, framework="pt") as opened:
        header = json.loads((opened.metadata() or {}).get(_HEADER, "{}"))
    return safetensors.torch.load_file(path), header
