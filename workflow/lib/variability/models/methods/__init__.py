"""Fine-tuning methods: one file each. A method says which parts of a network train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from variability import registry
from variability.extras import WithExtras

if TYPE_CHECKING:
    from variability.models.networks import Network

#: What stays frozen where only the head trains: every network has it, whatever its method.
BACKBONE = "backbone"
#: The method that pretraining is by.
PRETRAINING = {"name": "pretrain", "kind": "full"}


class Method(WithExtras, ABC):
    """Which parts of a network are fine-tuned. All else is frozen: no gradients reach it."""

    #: JSON schema of the method's own options: {option: schema}.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that must be given.
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    #: Whether it asks a network for nothing but its head and its blocks, which networks of every framework have; else
    #: it looks into torch modules.
    BY_BLOCKS: ClassVar[bool] = False

    #: Seeds that one job fits where the config leaves it open: enough that starting the frameworks is a small part, few
    #: enough that jobs can run side by side.
    SEEDS_PER_JOB: ClassVar[int]

    def __init__(self, options: dict[str, Any]):
        self.options = options

    @abstractmethod
    def frozen(self) -> str | None:
        """Names what stays frozen before all that trains, as part of a path: methods of one name freeze the same.

        None where nothing is: a network that starts as the backbone, and trains in every layer.
        """

    @abstractmethod
    def trainable(self, network: Network) -> list[str]:
        """Dotted names of what trains: modules, children included, or single parameters; "" for all of it.

        Raises UserError if the method cannot be applied to this network.
        """

    def active(self, network: Network) -> list[str]:
        """Dotted names of the modules that are in training mode, so that their dropout drops: those that train.

        Normalisation that does not train as a whole keeps its statistics whatever is said here.
        """
        return [name for name in self.trainable(network) if name not in dict(network.module.named_parameters())]

    def attach(self, network: Network) -> Network:
        """The network with what the method adds to it; its values are those of ``draw``."""
        return network

    def sample(self, network: Network, seed: int) -> None:
        """Draws what ``attach`` added anew, in place, from the seed's ``init`` stream."""


def from_entry(entry: dict[str, Any]) -> Method:
    """The method of a config's entry, with its own options."""
    options = {key: value for key, value in entry.items() if key not in ("name", "kind")}
    return registry.find("methods", entry["kind"])(options)
