"""Partial fine-tuning: the last blocks and the head train."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from variability.advice import plural
from variability.errors import UserError
from variability.models.methods import BACKBONE, Method

if TYPE_CHECKING:
    from variability.models.networks import Network


class Partial(Method):
    """The last ``blocks`` blocks train, and everything between them and the output."""

    OPTIONS: ClassVar[dict[str, dict]] = {
        "blocks": {"type": "integer", "minimum": 1, "description": "number of last blocks that train"}
    }
    REQUIRED: ClassVar[tuple[str, ...]] = ("blocks",)
    BY_BLOCKS: ClassVar[bool] = True
    SEEDS_PER_JOB: ClassVar[int] = 10

    def frozen(self) -> str | None:
        return f"{BACKBONE}-less-{self.options['blocks']}"

    def trainable(self, network: Network) -> list[str]:
        count, total = self.options["blocks"], len(network.blocks)
        if count >= total:
            raise UserError(
                f"methods: partial with blocks: {count} leaves nothing frozen in {network.name}, "
                f"which has {plural(total, 'block')}; use at most {total - 1}, or the method full"
            )
        return network.last_blocks(count)
