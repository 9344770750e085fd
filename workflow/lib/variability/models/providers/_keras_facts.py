"""Facts about the networks of ``keras.applications``, without importing Keras in this process."""

import inspect
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from variability.io.library_facts import library_facts


@dataclass(frozen=True)
class Architecture:
    """A network of ``keras.applications``.

    module: where it is defined, in ``keras.applications``. options: keyword arguments of its constructor. scaling: the
    mode of its ``preprocess_input`` (tf, caffe, torch); None if the network itself scales pixels of 0 to 255.
    min_size: smallest side of an image in pixels.
    """

    module: str
    options: list[str]
    scaling: str | None
    min_size: int


@cache
def architectures() -> dict[str, Architecture]:
    """Return the networks of ``keras.applications`` by name; none if Keras is not installed."""
    return {name: Architecture(**facts) for name, facts in (library_facts("keras", collect) or {}).items()}


def collect() -> dict[str, dict[str, Any]]:
    """Import Keras and describe its applications: {name: attributes of ``Architecture``}."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from keras import applications

    constructors = {
        name: member
        for name, member in vars(applications).items()
        if inspect.isfunction(member) and "include_top" in inspect.signature(member).parameters
    }
    return {name: _described(constructor) for name, constructor in sorted(constructors.items())}


def _described(constructor: Any) -> dict[str, Any]:
    from unittest import mock

    from keras.src.applications import imagenet_utils

    module = inspect.getmodule(constructor)
    # The facts are arguments of calls of these two functions.
    with mock.patch.object(imagenet_utils, "preprocess_input", lambda x, data_format=None, mode="caffe": mode):
        scaling = module.preprocess_input(None)
    with mock.patch.object(imagenet_utils, "obtain_input_shape", _raise_minimum):
        try:
            constructor(include_top=False, weights=None)
            minimum = 32
        except _Minimum as error:
            minimum = error.args[0]
    return {
        "module": module.__name__.rpartition(".")[2],
        "options": list(inspect.signature(constructor).parameters),
        "scaling": scaling,
        "min_size": minimum,
    }


class _Minimum(Exception):
    """Carries the smallest size that a constructor passes to Keras's check of sizes."""


def _raise_minimum(input_shape: Any, default_size: int, min_size: int, *others: Any, **named: Any) -> None:
    raise _Minimum(min_size)
