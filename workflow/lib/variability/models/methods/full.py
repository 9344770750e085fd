"""Full fine-tuning: every part trains."""

from typing import ClassVar

from variability.models.methods import Method


class Full(Method):
    """The whole network trains."""

    BY_BLOCKS: ClassVar[bool] = True
    SEEDS_PER_JOB: ClassVar[int] = 5

    def frozen(self) -> str | None:
        return None

    def trainable(self, network) -> list[str]:
        return [""]
