"""Linear probe: a fresh head on frozen features."""

from variability.methods import Method


class LinearProbe(Method):
    """Only the head trains. The backbone, its BatchNorm statistics included, stays as it was."""

    def trainable(self, network) -> list[str]:
        return [network.head]
