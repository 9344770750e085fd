"""Keeps the compiler of torch, which no stage uses, out of a process: importing it takes two seconds of each job."""

import importlib
import sys
from types import ModuleType
from typing import Any

#: The only module of the compiler that torchvision imports, for a function that it calls within its own functions.
_IMPORTED = "torch._dynamo.utils"


def import_torchvision() -> None:
    """Import torchvision, with a stand-in for the compiler's module that it imports at its top.

    The function that it takes from there loads the compiler when it is called. Any other name loads it at once, so
    another version of torchvision imports more slowly, but correctly.
    """
    if "torchvision" in sys.modules or _IMPORTED in sys.modules:
        return
    importlib.import_module("torch")
    stand_in = ModuleType(_IMPORTED)
    stand_in.__dict__.update(is_compile_supported=_is_compile_supported, __getattr__=_from_the_compiler)
    sys.modules[_IMPORTED] = stand_in
    try:
        importlib.import_module("torchvision")
    finally:
        if sys.modules.get(_IMPORTED) is stand_in:
            del sys.modules[_IMPORTED]


def free_optimizers() -> None:
    """Let torch's optimizers run four methods as they are, which otherwise load the compiler to be left out of it.

    Torch keeps the function that it then calls as an attribute of the method; here this is the method itself.
    """
    from torch.optim import Optimizer

    for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
        method = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if method is not None and "torch._dynamo" not in sys.modules:
            method.__dict__.setdefault("__dynamo_disable", method)


def _is_compile_supported(device_type: str) -> bool:
    return importlib.import_module(_IMPORTED).is_compile_supported(device_type)


def _from_the_compiler(name: str) -> Any:
    # Modules are also asked for __file__ and the like, by code that looks at all of them.
    if name.startswith("__"):
        raise AttributeError(name)
    sys.modules.pop(_IMPORTED)
    return getattr(importlib.import_module(_IMPORTED), name)
