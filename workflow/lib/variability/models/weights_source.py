"""Kinds of a model's ``weights``, read from the config's value alone (no torch, no files)."""

#: Prefix of weights that the workflow pretrains itself: ``pretrain:<name>``.
PRETRAIN = "pretrain:"
#: Suffixes by which a value is a file and not the name of a release.
SUFFIXES = (".safetensors", ".pth", ".pt", ".th", ".h5", ".keras")


def pretraining_of(weights: str) -> str | None:
    """Return the name of the pretraining that makes these weights; None if they come from another source."""
    return weights.removeprefix(PRETRAIN) if weights.startswith(PRETRAIN) else None


def weights_kind(weights: str) -> str:
    """Return the source of these weights: none (random), pretrain, file, or named (a release of the provider)."""
    if weights == "none":
        return "none"
    if weights.startswith(PRETRAIN):
        return "pretrain"
    return "file" if weights.endswith(SUFFIXES) else "named"
