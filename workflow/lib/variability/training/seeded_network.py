"""The network of a (model, task, method) as each seed starts to train it."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import torch

from variability import registry
from variability.data.prepared_task import PreparedTask
from variability.io import artefacts
from variability.io.files import digest
from variability.models import cutting, methods, weight_files
from variability.models.networks import Network, frozen_digest, frozen_tensors, tensors_digest, trained_tensors
from variability.training.input_files import InputFiles


class SeededNetwork:
    """A network that is reset for one seed after another, and trained in between.

    A pretrained backbone is built once and restored for every seed; a random one is built again for every seed.

    model, method: entries of the config; without a method only the head trains. input_files: of the weights, without
    which the backbone is random, and of the assets. device: of the network.

    Everything but ``reset``, ``provider`` and ``device`` needs a network that was reset for some seed.
    """

    def __init__(
        self,
        model: Mapping[str, Any],
        method: Mapping[str, Any] | None,
        task: PreparedTask,
        input_files: InputFiles,
        device: str,
    ):
        self.device = device
        self.provider = registry.find("providers", model["provider"])(model, input_files.assets)
        self._method = methods.from_entry(method) if method else None
        self._task = task
        self._weights = input_files.weights
        self._weights_manifest = input_files.weights_manifest
        self._network: Network | None = None
        self._initial: dict[str, torch.Tensor] = {}
        #: Names of the parts that train.
        self.trainable: list[str] = []
        #: Names of the modules in training mode, see ``networks.train_mode``.
        self.active: list[str] | None = None

    @property
    def shares_backbone(self) -> bool:
        """True if all seeds start from the same backbone."""
        return self._weights is not None and not self.provider.samples_backbone()

    def reset(self, seed: int) -> Network:
        """Put the network, in place, into the state in which a seed starts, and return it."""
        if self._network is None or not self.shares_backbone:
            network = self._build(seed)
        else:
            network = self._network
            self._restore_initial(network)
            self.provider.sample_head(network, seed)
        if self._method:
            self._method.sample(network, seed)
        return network

    @property
    def network(self) -> Network:
        """The network in its current state: of the last seed, and trained if that was done."""
        if self._network is None:
            raise ValueError("the network was not reset for any seed")
        return self._network

    @property
    def module(self) -> torch.nn.Module:
        """The network's torch module."""
        return self.network.module

    @cached_property
    def cut(self) -> cutting.Cut | None:
        """The network's frozen prefix and the rest of it; None where it has no frozen prefix or cannot be cut."""
        freezes = self._method is None or self._method.frozen() is not None
        return self._cut_before(self.trainable) if freezes else None

    @cached_property
    def head_cut(self) -> cutting.Cut | None:
        """The backbone and the head, whatever trains: before training all seeds share the backbone's activations."""
        return self._cut_before([self.network.head])

    def _cut_before(self, parts: list[str]) -> cutting.Cut | None:
        if not self.provider.HAS_PREFIX:
            return None
        example = self._task.modality.example_batch(self.provider, self._task.facts)
        return cutting.cut(self.network, parts, example.to(self.device))

    @cached_property
    def frozen_sha256(self) -> str:
        """Digest of everything that is not trained.

        The checksum of the file of weights represents all tensors that equal those in the file: comparing them takes a
        third of the time of hashing them.
        """
        frozen = frozen_tensors(self.network, self.trainable)
        if not frozen or self._weights is None or self._weights_manifest is None:
            return tensors_digest(frozen)
        equal = weight_files.equal_tensors(self._weights, frozen)
        others = tensors_digest({name: tensor for name, tensor in frozen.items() if name not in equal})
        weights = artefacts.read_weights(self._weights_manifest)["sha256"]
        return digest({"weights": weights, "equal": equal, "others": others})

    def frozen_digests(self) -> Iterator[str]:
        """Yield the digests of everything that is not trained which a checkpoint may have, also of earlier versions."""
        yield self.frozen_sha256
        yield frozen_digest(self.network, self.trainable)

    def _build(self, seed: int) -> Network:
        facts = self._task.facts | {"class_names": self._task.class_names}
        network = self.provider.build(self._task.outputs, self._weights, seed, facts)
        network = self._method.attach(network) if self._method else network
        network.module.to(self.device, memory_format=torch.channels_last)
        self.trainable = self._method.trainable(network) if self._method else [network.head]
        self.active = self._method.active(network) if self._method else None
        # Only now: if the method refuses the network, it must do so for every seed, not only for the first.
        self._network = network
        for of_previous_network in ("cut", "head_cut", "frozen_sha256"):
            self.__dict__.pop(of_previous_network, None)
        if self.shares_backbone:
            self._initial = {name: tensor.clone() for name, tensor in trained_tensors(network, self.trainable).items()}
        return network

    @torch.no_grad()
    def _restore_initial(self, network: Network) -> None:
        for name, tensor in trained_tensors(network, self.trainable).items():
            tensor.copy_(self._initial[name])
