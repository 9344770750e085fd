"""Fine-tuning methods: one file each. A method says which parts of a network train."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from variability import registry

#: What stays frozen where only the head trains: every network has it, whatever its method.
BACKBONE = "backbone"


class Method(ABC):
    """Which parts of a network are fine-tuned. All else is frozen: no gradients, and in eval mode throughout."""

    #: JSON schema of the method's own options: {option: schema}.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that must be given.
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    #: Seeds that one job fits where the config leaves it open: enough that starting the frameworks is a small part, few
    #: enough that jobs can run side by side.
    SEEDS_PER_JOB: ClassVar[int]

    def __init__(self, options: dict[str, Any]):
        self.options = options

    @abstractmethod
    def frozen(self) -> str | None:
        """Names what stays frozen, as part of a path: methods of one name freeze the same; None where nothing is."""

    @abstractmethod
    def trainable(self, network) -> list[str]:
        """Dotted names of the modules of a ``networks.Network`` that train, children included; "" for all of it.

        Raises UserError if the method cannot be applied to this network.
        """


def plugin(entry: dict[str, Any]) -> Method:
    """The method of a config's entry, with its own options."""
    options = {key: value for key, value in entry.items() if key not in ("name", "kind")}
    return registry.find("methods", entry["kind"])(options)


def module(entry: dict[str, Any]) -> str:
    """Dotted name of the module of an entry's method."""
    return registry.module_name("methods", entry["kind"])
