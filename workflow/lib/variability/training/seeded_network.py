"""The network of a (model, task, method) before training, for one seed after another."""

from functools import cached_property
from typing import Any

import torch

from variability import registry
from variability.data.prepared_task import PreparedTask
from variability.models import cutting
from variability.models.methods import plugin
from variability.models.networks import Network, frozen_digest, trained_tensors
from variability.training.input_files import InputFiles


class Untrained:
    """A pretrained backbone is built once and put back to what it was for every seed; a random one is built anew.

    model, method: entries of the config; without a method only the head trains. task: the ``PreparedTask``. sources:
    of the weights, without which the backbone is random. device: where the network is to be.
    """

    def __init__(
        self,
        model: dict[str, Any],
        method: dict[str, Any] | None,
        task: PreparedTask,
        sources: InputFiles,
        device: str,
    ):
        self.device = device
        self.provider = registry.find("providers", model["provider"])(model, sources.assets)
        self._method = plugin(method) if method else None
        self._task = task
        self._weights = sources.weights
        self._network: Network | None = None
        self.trainable: list[str] = []
        self.active: list[str] | None = None

    @property
    def shared(self) -> bool:
        """Whether all seeds have the backbone in common."""
        return self._weights is not None and not self.provider.draws_backbone()

    def network(self, seed: int) -> Network:
        """The network as the seed begins with it, on the device. Asking for another seed changes the same network."""
        if self._network is None or not self.shared:
            self._build(seed)
        else:
            self._put_back()
            self.provider.draw_head(self._network, seed)
        if self._method:
            self._method.draw(self._network, seed)
        return self._network

    @property
    def current(self) -> Network:
        """The network as it is now: of the seed that was asked for last, and trained if that was done."""
        return self._network

    @property
    def module(self) -> torch.nn.Module:
        return self._network.module

    @cached_property
    def cut(self) -> cutting.Cut | None:
        """The network's frozen prefix and the rest of it, where it has one."""
        freezes = self._method is None or self._method.frozen() is not None
        return self._cut_before(self.trainable) if freezes else None

    @cached_property
    def head_cut(self) -> cutting.Cut | None:
        """The backbone and the head, whatever trains: before training the one is what it is for every seed."""
        return self._cut_before([self._network.head])

    def _cut_before(self, parts: list[str]) -> cutting.Cut | None:
        if not self.provider.HAS_PREFIX:
            return None
        example = self._task.modality.trial(self.provider, self._task.facts)
        return cutting.cut(self._network, parts, example.to(self.device))

    @cached_property
    def frozen_sha256(self) -> str:
        """Digest of all that is not trained."""
        return frozen_digest(self._network, self.trainable)

    def _build(self, seed: int) -> None:
        facts = self._task.facts | {"class_names": self._task.class_names}
        network = self.provider.build(self._task.outputs, self._weights, seed, facts)
        network = self._method.attach(network) if self._method else network
        network.module.to(self.device, memory_format=torch.channels_last)
        self.trainable = self._method.trainable(network) if self._method else [network.head]
        self.active = self._method.active(network) if self._method else None
        # Last: what the method cannot train is refused for every seed, not only for the first.
        self._network = network
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
