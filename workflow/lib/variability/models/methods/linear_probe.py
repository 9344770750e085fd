"""Linear probe: a new head is trained on frozen features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from variability.models.methods import BACKBONE, Method

if TYPE_CHECKING:
    from variability.models.networks import Network


class LinearProbe(Method):
    """Only the head trains. The backbone does not change, BatchNorm statistics included."""

    BY_BLOCKS: ClassVar[bool] = True
    SEEDS_PER_JOB: ClassVar[int] = 50

    def frozen(self) -> str | None:
        return BACKBONE

    def trainable(self, network: Network) -> list[str]:
        return [network.head]
