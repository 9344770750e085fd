"""BitFit: the biases train."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from variability.errors import UserError
from variability.models.methods import Method

if TYPE_CHECKING:
    from variability.models.networks import Network


class Bitfit(Method):
    """The head and all biases of the backbone train, those of normalisation included (Ben Zaken et al., ACL 2022)."""

    SEEDS_PER_JOB: ClassVar[int] = 5

    def frozen(self) -> str | None:
        # Every layer has a trained bias, so that no activation can be computed once for all runs.
        return None

    def trainable(self, network: Network) -> list[str]:
        named = (name for name, _ in network.module.named_parameters() if not name.startswith(f"{network.head}."))
        biases = [name for name in named if name.rpartition(".")[2].endswith("bias")]
        if not biases:
            raise UserError(
                f"methods: bitfit trains biases, and {type(network.module).__name__} has none outside its head; "
                "leave it out for this model (grid.exclude), or use lora"
            )
        return [*biases, network.head]

    def active(self, network: Network) -> list[str]:
        return [""]
