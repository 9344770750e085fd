"""Partial fine-tuning: the last blocks and the head train."""

from typing import ClassVar

from variability.errors import UserError
from variability.methods import BACKBONE, Method


class Partial(Method):
    """The last ``blocks`` blocks train, and everything between them and the output."""

    OPTIONS: ClassVar[dict[str, dict]] = {"blocks": {"type": "integer", "minimum": 1}}
    REQUIRED: ClassVar[tuple[str, ...]] = ("blocks",)

    SEEDS_PER_JOB: ClassVar[int] = 10

    def frozen(self) -> str | None:
        return f"{BACKBONE}-less-{self.options['blocks']}"

    def trainable(self, network) -> list[str]:
        from variability.networks import last_blocks

        asked, there = self.options["blocks"], len(network.blocks)
        if asked >= there:
            raise UserError(
                f"methods: partial with blocks: {asked} leaves nothing frozen in {type(network.module).__name__}, "
                f"which has {there} blocks; use at most {there - 1}, or the method full"
            )
        return last_blocks(network, asked)
