"""Trial of Keras networks before the first job, in a process of its own: see ``trial``."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from variability import registry
from variability.io import files
from variability.models import methods


def main() -> None:
    """Read requests from the first file of the command line and write an answer to each to the second."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    source, target = sys.argv[1:]
    files.write_json(target, [answer(request) for request in files.read_json(source)])


def answer(request: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the problem of training with batches of one image, see ``trial.answer``; None if there is none."""
    from variability.models.providers import _keras_networks

    model = {"name": "trial", "preprocess": {}, **request["model"]}
    provider = registry.find("providers", model["provider"])(model)
    network = provider.build(request["outputs"], None, 0, {"size": request["size"]})
    trainable = methods.from_entry(request["method"]).trainable(network)
    layer = _keras_networks.one_value_normalisation(network, trainable)
    return {"key": "batch", "message": methods.one_value_message(model["architecture"], layer)} if layer else None
