"""Metrics: one file each. See ``Metric`` for what a new one must say."""

from abc import ABC, abstractmethod
from functools import cache
from typing import ClassVar

import numpy as np

from variability import registry
from variability.errors import UserError


class Metric(ABC):
    """One or several numbers computed from one run's predictions on one split.

    A plug-in module must import quickly (names are checked before the first job): what takes long is imported inside
    the methods. So does ``compute``: it is called four times for each of perhaps a hundred thousand runs.
    """

    #: Task kind it applies to: a plug-in of the kinds.
    KIND: ClassVar[str]
    #: The scalars it computes, with their axis labels: {"rmse": "RMSE (units of the target)"}. {}: per class only.
    LABELS: ClassVar[dict[str, str]]
    #: Names of the scalars: the keys of LABELS.
    NAMES: ClassVar[tuple[str, ...]]
    #: Whether larger is better; None for what has no order.
    HIGHER_IS_BETTER: ClassVar[bool | None]
    #: Value of a perfect prediction, from which error reductions are reckoned; None where there is none.
    PERFECT: ClassVar[float | None]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.NAMES = tuple(getattr(cls, "LABELS", ()))

    @abstractmethod
    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray | None) -> dict[str, float]:
        """The scalars, keyed by NAMES; NaN where one is undefined on these examples.

        classification: y_true and y_pred (n,) class indices, probabilities (n, classes) with rows summing to 1.
        regression: y_true and y_pred (n,) floats, probabilities None. ranking: y_pred (n,) ranks from 1, y_true all 1,
        probabilities None. n is at least 1.
        """

    def per_class(
        self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: np.ndarray | None
    ) -> dict[tuple[int, ...], float]:
        """A breakdown: {(class,): value}, or {(true class, predicted class): count} for the confusion matrix."""
        return {}


@cache
def scalars() -> dict[str, type[Metric]]:
    """Every scalar's name and the plug-in that computes it. Quick: neither torch nor scikit-learn is imported.

    Raises UserError if two plug-ins compute a scalar of the same name.
    """
    found: dict[str, type[Metric]] = {}
    for plugin in (registry.find("metrics", name) for name in registry.names("metrics")):
        for scalar in plugin.NAMES:
            if scalar in found:
                files = f"{found[scalar].__module__} and {plugin.__module__}"
                raise UserError(f"{files} both compute a metric named {scalar!r}; rename one of them")
            found[scalar] = plugin
    return found


def scalar_names(kind: str) -> tuple[str, ...]:
    """Names that a task of this kind may have as its primary metric: scalars that say which way is better."""
    return tuple(
        name for name, plugin in scalars().items() if kind == plugin.KIND and plugin.HIGHER_IS_BETTER is not None
    )
