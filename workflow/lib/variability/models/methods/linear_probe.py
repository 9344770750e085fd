"""Linear probe: a new head is trained on frozen features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.models.methods import BACKBONE, Method

if TYPE_CHECKING:
    from variability.models.networks import Network


class LinearProbe(Method):
    """Only the head trains. The backbone does not change, BatchNorm statistics included."""

    BY_BLOCKS: ClassVar[bool] = True
    HEAD_ALONE: ClassVar[bool] = True
    SEEDS_PER_JOB: ClassVar[int] = 50
    # A new head needs many steps, which are quick: the frozen part is computed once.
    RECIPE: ClassVar[dict[str, Any]] = {"lr": 0.003, "epochs": 50}

    def frozen(self) -> str | None:
        return BACKBONE

    def trainable(self, network: Network) -> list[str]:
        return [network.head]
