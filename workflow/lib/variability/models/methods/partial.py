"""Partial fine-tuning: the last blocks and the head train."""

from typing import ClassVar

from variability.errors import UserError
from variability.models.methods import BACKBONE, Method


class Partial(Method):
    """The last ``blocks`` blocks train, and everything between them and the output."""

    OPTIONS: ClassVar[dict[str, dict]] = {"blocks": {"type": "integer", "minimum": 1}}
    REQUIRED: ClassVar[tuple[str, ...]] = ("blocks",)
    BY_BLOCKS: ClassVar[bool] = True
    SEEDS_PER_JOB: ClassVar[int] = 10

    def frozen(self) -> str | None:
        return f"{BACKBONE}-less-{self.options['blocks']}"

    def trainable(self, network) -> list[str]:
        asked, there = self.options["blocks"], len(network.blocks)
        if asked >= there:
            raise UserError(
                f"methods: partial with blocks: {asked} leaves nothing frozen in {network.name}, "
                f"which has {there} blocks; use at most {there - 1}, or the method full"
            )
        return network.last_blocks(asked)
