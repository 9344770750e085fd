"""The network of a (model, task, method) before training, for one seed after another."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from variability import prefix, registry
from variability.methods import plugin
from variability.networks import Network, draw_head, frozen_digest, trained_tensors
from variability.preprocessing import Preprocess


class Untrained:
    """A pretrained backbone is built once and put back to what it was for every seed; a random one is built anew.

    model, method: entries of the config; without a method only the head trains. task: the ``PreparedTask``. weights:
    the whole pretrained network, None for a random backbone. device: where the network is to be.
    """

    def __init__(self, model: dict[str, Any], method: dict[str, Any] | None, task, weights: Path | None, device: str):
        self.device = device
        self._provider = registry.find("providers", model["provider"])(model)
        self._method = plugin(method) if method else None
        self._outputs = task.outputs
        self._weights = weights
        self.preprocess_spec = self._provider.preprocess(task.image_size)
        self.preprocess = Preprocess.from_dict(self.preprocess_spec)
        self._network: Network | None = None
        self.trainable: list[str] = []

    @property
    def shared(self) -> bool:
        """Whether all seeds have the backbone in common."""
        return self._weights is not None

    def network(self, seed: int) -> Network:
        """The network as the seed begins with it, on the device. Asking for another seed changes the same network."""
        if self._network is None or not self.shared:
            self._build(seed)
        else:
            self._put_back()
            draw_head(self._network, seed)
        return self._network

    @property
    def module(self) -> torch.nn.Module:
        return self._network.module

    @cached_property
    def cut(self) -> prefix.Cut | None:
        """The network's frozen prefix and the rest of it, where it has one."""
        return self._cut_before(self.trainable)

    @cached_property
    def head_cut(self) -> prefix.Cut | None:
        """The backbone and the head, whatever trains: before training the one is what it is for every seed."""
        return self._cut_before([self._network.head])

    def _cut_before(self, parts: list[str]) -> prefix.Cut | None:
        size = self.preprocess.size
        example = torch.zeros(2, 3, size, size, device=self.device).contiguous(memory_format=torch.channels_last)
        return prefix.cut(self._network, parts, example)

    @cached_property
    def frozen_sha256(self) -> str:
        """Digest of all that is not trained."""
        return frozen_digest(self._network, self.trainable)

    def _build(self, seed: int) -> None:
        self._network = self._provider.build(self._outputs, self._weights, seed)
        self._network.module.to(self.device, memory_format=torch.channels_last)
        self.trainable = self._method.trainable(self._network) if self._method else [self._network.head]
        for known_of_another in ("cut", "head_cut", "frozen_sha256"):
            self.__dict__.pop(known_of_another, None)
        if self.shared:
            self._first = {
                name: tensor.clone() for name, tensor in trained_tensors(self._network, self.trainable).items()
            }

    @torch.no_grad()
    def _put_back(self) -> None:
        for name, tensor in trained_tensors(self._network, self.trainable).items():
            tensor.copy_(self._first[name])
