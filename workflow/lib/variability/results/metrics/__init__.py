"""Metrics: one file each. ``Metric`` is the interface that a new one implements."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from variability import registry
from variability.errors import UserError


class Metric(ABC):
    """One or several scalars computed from the predictions of one run on one split.

    A plug-in module must import quickly, because the config check imports it before the first job: heavy imports belong
    inside the methods. ``compute`` must be fast, too: it is called four times for each of perhaps 100,000 runs.
    """

    #: Kind of the tasks it applies to: the name of a plug-in of the family ``kinds``.
    KIND: ClassVar[str]
    #: The scalars it computes, with their axis labels: {"rmse": "RMSE (units of the target)"}. {}: per class only.
    LABELS: ClassVar[dict[str, str]]
    #: Names of the scalars: the keys of LABELS.
    NAMES: ClassVar[tuple[str, ...]]
    #: Whether larger is better; None if neither is.
    HIGHER_IS_BETTER: ClassVar[bool | None]
    #: Value of a perfect prediction, from which error reductions are computed; None if there is none.
    PERFECT: ClassVar[float | None]
    #: Unit of the values; ``metric_scales.OF_TARGET`` if it is that of the task's targets; None if there is none.
    UNIT: ClassVar[str | None] = None
    #: Smallest and largest possible value; None for an open end. Margins are fractions of a closed range.
    RANGE: ClassVar[tuple[float | None, float | None]] = (None, None)
    #: Value that a constant prediction reaches; None if it depends on the data.
    REFERENCE: ClassVar[float | None] = None
    #: Whether a metric of classification reads the probabilities, and not only how many classes they are of. Imported
    #: predictions may lack them; the other metrics then get 1 for the predicted class and 0 for all others.
    NEEDS_PROBABILITIES: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.NAMES = tuple(getattr(cls, "LABELS", ()))

    @abstractmethod
    def compute(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: Any) -> dict[str, float]:
        """Return the scalars, keyed by NAMES; NaN for one that is undefined on these examples.

        classification: y_true and y_pred (n,) class indices, probabilities (n, classes) floats with rows summing to 1.
        regression: y_true and y_pred (n,) floats, probabilities None. ranking: y_pred (n,) ranks from 1, y_true all 1,
        probabilities None. n is at least 1.
        """

    def per_class(self, y_true: np.ndarray, y_pred: np.ndarray, probabilities: Any) -> dict[tuple[int, ...], float]:
        """Return {(class,): value}, or {(true class, predicted class): count} for the confusion matrix.

        Takes the same arguments as ``compute``. Empty if the metric has no per-class values.
        """
        return {}


def scalars() -> dict[str, type[Metric]]:
    """Return every scalar's name with the plug-in that computes it. Imports neither torch nor pandas.

    Raises UserError if two plug-ins compute a scalar of the same name.
    """
    plugins: dict[str, type[Metric]] = {}
    for plugin in (registry.find("metrics", name) for name in registry.names("metrics")):
        for scalar in plugin.NAMES:
            if scalar in plugins:
                files = f"{plugins[scalar].__module__} and {plugin.__module__}"
                raise UserError(f"{files} both compute a metric named {scalar!r}; rename one of them")
            plugins[scalar] = plugin
    return plugins


def scalar_names(kind: str) -> tuple[str, ...]:
    """Return the possible primary metrics of a task of this kind: scalars whose HIGHER_IS_BETTER is set."""
    return tuple(
        name for name, plugin in scalars().items() if kind == plugin.KIND and plugin.HIGHER_IS_BETTER is not None
    )


def scalar_facts() -> dict[str, dict[str, Any]]:
    """Return ``label``, ``higher_is_better``, ``perfect``, ``unit``, ``range`` and ``reference`` of every scalar."""
    return {
        name: {
            "label": plugin.LABELS[name],
            "higher_is_better": plugin.HIGHER_IS_BETTER,
            "perfect": plugin.PERFECT,
            "unit": plugin.UNIT,
            "range": plugin.RANGE,
            "reference": plugin.REFERENCE,
        }
        for name, plugin in scalars().items()
    }
