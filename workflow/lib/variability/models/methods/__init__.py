"""Fine-tuning methods: which parts of a network train. One file per method.

A new method is a file in this folder with one subclass of ``Method``. The smallest one::

    class LinearProbe(Method):
        SEEDS_PER_JOB = 50

        def frozen(self):
            return BACKBONE

        def trainable(self, network):
            return [network.head]

The config check imports all methods a study uses, so a method's module must import without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from variability import registry
from variability.extras import WithExtras

if TYPE_CHECKING:
    from variability.models.networks import Network

#: Name of the frozen part where only the head trains. Every network has it, whatever the method.
BACKBONE = "backbone"
#: Part of the message of torch's ValueError for a BatchNorm that sees one value per channel.
ONE_VALUE = "more than 1 value per channel"
#: The method of pretraining.
PRETRAINING = {"name": "pretrain", "kind": "full"}


class Method(WithExtras, ABC):
    """A choice of the parts of a network that are fine-tuned. No gradients reach the other parts.

    options: those of its entry under ``methods`` in the config.
    """

    #: JSON schemas of the method's options: {option: schema}.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options without a default.
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    #: Keys of the recipe whose default differs from that of other methods; what a config states has priority.
    RECIPE: ClassVar[dict[str, Any]] = {}

    #: Whether the method uses only a network's head and blocks, which networks of every framework have. False: it
    #: needs torch modules.
    BY_BLOCKS: ClassVar[bool] = False

    #: Whether nothing but the head trains, from the activations before it: steps that are too short to be shared.
    HEAD_ALONE: ClassVar[bool] = False

    #: Seeds that one job fits if the config sets no number: so many that starting the frameworks is a small part of the
    #: job, so few that jobs can run in parallel.
    SEEDS_PER_JOB: ClassVar[int]

    def __init__(self, options: dict[str, Any]):
        self.options = options

    def option(self, name: str) -> Any:
        """Return an option from the config, or the default of its schema."""
        return self.options.get(name, self.OPTIONS[name].get("default"))

    @abstractmethod
    def frozen(self) -> str | None:
        """Return a name for the frozen part that comes before all trained parts; None if there is no such part.

        The name becomes part of a path. Methods that return the same name freeze the same part and share its stored
        activations.
        """

    @abstractmethod
    def trainable(self, network: Network) -> list[str]:
        """Return the dotted names of what trains: modules, children included, or single parameters; "" is everything.

        Raises UserError if the method cannot be applied to this network.
        """

    def active(self, network: Network) -> list[str]:
        """Return the dotted names of the modules in training mode, in which their dropout drops: those that train.

        Normalisation that does not train as a whole stays in eval mode whatever this returns.
        """
        return [name for name in self.trainable(network) if name not in dict(network.module.named_parameters())]

    def attach(self, network: Network) -> Network:
        """Return the network with the parameters that the method adds; ``sample`` sets their values."""
        return network

    def sample(self, network: Network, seed: int) -> None:
        """Sample the values of what ``attach`` added, in place, from the seed's ``init`` stream."""


def from_entry(entry: dict[str, Any]) -> Method:
    """Return the method of a config's entry, with its options."""
    options = {key: value for key, value in entry.items() if key not in ("name", "kind")}
    return registry.find("methods", entry["kind"])(options)


def shared_batch_message(network: str, layer: str) -> str:
    """Return the message for a BatchNorm that trains while several processes compute parts of a batch.

    layer: its name; "" if it is not known.
    """
    return (
        f"{layer or 'a layer'} of {network} is a BatchNorm that trains, and each of the processes would normalise its "
        "part of a batch by itself; use 1 for it, or a method or network that trains no BatchNorm"
    )


def one_value_message(network: str, layer: str) -> str:
    """Return the message for batches of one example that leave a BatchNorm that trains one value per channel.

    layer: its name; "" if it is not known.
    """
    return (
        f"1 example leaves {layer or 'a layer'} of {network}, a BatchNorm, one value per channel, which has no "
        "variance; use batches of 2 or more (a last batch of one example joins the one before), larger images, or a "
        "method that does not train this layer"
    )
