"""Full fine-tuning: all parts train."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from variability.models.methods import Method

if TYPE_CHECKING:
    from variability.models.networks import Network


class Full(Method):
    """The whole network trains."""

    BY_BLOCKS: ClassVar[bool] = True
    SEEDS_PER_JOB: ClassVar[int] = 5

    def frozen(self) -> str | None:
        return None

    def trainable(self, network: Network) -> list[str]:
        return [""]
