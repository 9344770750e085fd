"""Full fine-tuning: every part trains."""

from variability.methods import Method


class Full(Method):
    """The whole network trains."""

    def trainable(self, network) -> list[str]:
        return [""]
