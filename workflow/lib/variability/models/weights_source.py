"""Kinds of a model's ``weights``, read from the config's value alone (no torch, no files)."""

#: Prefix of weights that the workflow pretrains itself: ``pretrain:<name>``.
PRETRAIN = "pretrain:"
#: Suffixes by which a value is a file and not the name of a release.
SUFFIXES = (".safetensors", ".pth", ".pt", ".th", ".h5", ".keras")
#: Suffixes of files of weights that cannot be read.
_OTHER_FILES = (".ckpt", ".bin", ".pkl", ".pickle", ".tar", ".gz", ".zip", ".npz", ".npy", ".onnx", ".pb", ".msgpack")
_OTHER_FILES += (".gguf", ".pdparams", ".hdf5", ".tflite", ".mar", ".jit", ".model", ".weights")


def refused_file(weights: str) -> str | None:
    """Return the message that a value is a file of weights that cannot be read; None if it is not."""
    if weights_kind(weights) != "named" or not weights.lower().endswith((*_OTHER_FILES, *SUFFIXES)):
        return None
    return (
        f"{weights!r} is not a file of weights that can be read, which ends in {', '.join(SUFFIXES)}; save "
        "the state_dict of the network in one of these formats"
    )


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
