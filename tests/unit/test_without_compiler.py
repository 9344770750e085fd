"""A stage runs without torch's compiler, and the compiler works where something else asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from variability import without_compiler

pytestmark = pytest.mark.slow

LIBRARY = Path(without_compiler.__file__).parents[1]

TRAINS = """
from torch import nn
from variability.models.networks import replace_head
from variability.training.device import configure
from variability.training.optimizers import make_optimizer
from variability.without_compiler import import_torchvision
import_torchvision()
import torch, torchvision
configure(1)
module = torchvision.models.squeezenet1_1()
replace_head(module, 2)
recipe = {"optimizer": "adamw", "weight_decay": 0.1, "lr": 0.1}
optimizer = make_optimizer(module.parameters(), recipe)
optimizer.zero_grad()
module(torch.zeros(2, 3, 32, 32)).nan_to_num().sum().backward()
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
"""
LISTS = "import sys; print(*[name for name in ('torch._dynamo', 'torch._inductor', 'sympy') if name in sys.modules])"
MODE = "print(torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())"
POOLS = (
    "print(*torchvision.ops.roi_align(torch.ones(1, 1, 4, 4), [torch.tensor([[0.0, 0, 4, 4]])], 1).flatten().tolist())"
)
COMPILES = "print(*torch.compile(lambda x: x + 1, backend='eager')(torch.zeros(2)).tolist())"


def printed(*statements: str) -> str:
    code = "\n".join(statements)
    command, environment = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": str(LIBRARY)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_step_of_training_is_deterministic_and_loads_no_compiler():
    assert printed(TRAINS, LISTS, MODE).split() == ["True", "True"]


@pytest.mark.parametrize(("use", "result"), [(POOLS, "1.0"), (COMPILES, "1.0 1.0")])
def test_what_needs_the_compiler_later_loads_it(use, result):
    assert printed(TRAINS, use) == result
