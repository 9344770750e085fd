"""Results per example of eval-arena (Wang et al. 2024): JSON Lines with the attempts that solved each example."""

from collections.abc import Mapping
from typing import ClassVar

from variability.results.predictions import SCORES
from variability.results.readers import Reader


class EvalArena(Reader):
    """Lines {benchmark_id, model, example_id, pass1, count, correct}; pass1 alone is enough."""

    EXAMPLES = SCORES
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "model": ("model",),
        "task": ("benchmark_id",),
        "example_id": ("example_id",),
        "correct": ("correct",),
        "attempts": ("count",),
        "score": ("pass1",),
    }
    # The file has no seeds: each model has one run.
    CONSTANTS: ClassVar[Mapping[str, str]] = {"method": "evaluated", "seed": "0", "metric": "pass_rate"}
    PATTERNS = ("*.jsonl",)
