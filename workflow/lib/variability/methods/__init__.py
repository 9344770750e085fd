"""Fine-tuning methods: one file each. A method says which parts of a network train."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar


class Method(ABC):
    """Which parts of a network are fine-tuned. All else is frozen: no gradients, and in eval mode throughout."""

    #: JSON schema of the method's own options: {option: schema}.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that must be given.
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: dict[str, Any]):
        self.options = options

    @abstractmethod
    def trainable(self, network) -> list[str]:
        """Dotted names of the modules of a ``networks.Network`` that train, children included; "" for all of it.

        Raises UserError if the method cannot be applied to this network.
        """
