"""Linear probe: a fresh head on frozen features."""

from typing import ClassVar

from variability.models.methods import BACKBONE, Method


class LinearProbe(Method):
    """Only the head trains. The backbone, its BatchNorm statistics included, stays as it was."""

    BY_BLOCKS: ClassVar[bool] = True
    SEEDS_PER_JOB: ClassVar[int] = 50

    def frozen(self) -> str | None:
        return BACKBONE

    def trainable(self, network) -> list[str]:
        return [network.head]
