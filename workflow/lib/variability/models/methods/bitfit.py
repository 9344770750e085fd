"""BitFit: biases train."""

from typing import ClassVar

from variability.errors import UserError
from variability.models.methods import Method


class Bitfit(Method):
    """Every bias of the backbone trains, those of normalisation too, and the head (Ben Zaken et al., ACL 2022)."""

    SEEDS_PER_JOB: ClassVar[int] = 5

    def frozen(self) -> str | None:
        # What is frozen stands beside what trains in every layer: nothing of it can be computed once.
        return None

    def trainable(self, network) -> list[str]:
        named = (name for name, _ in network.module.named_parameters() if not name.startswith(f"{network.head}."))
        biases = [name for name in named if name.rpartition(".")[2].endswith("bias")]
        if not biases:
            raise UserError(
                f"methods: bitfit trains biases, and {type(network.module).__name__} has none but the head's; leave it "
                "out for this model (grid.exclude), or use lora"
            )
        return [*biases, network.head]

    def active(self, network) -> list[str]:
        return [""]
