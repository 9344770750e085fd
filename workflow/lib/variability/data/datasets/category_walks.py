"""Generated interactions with a known structure: users who walk over the categories of a catalogue."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from variability.advice import plural
from variability.data.datasets import Dataset, Examples, _interactions
from variability.errors import Problem

#: Parts of the generated data; each has its own generator.
_DYNAMICS, _CATALOGUE, _USERS = 0, 1, 2


class CategoryWalks(Dataset):
    """Users who take one item after another from hidden categories.

    With probability ``regularity``, a user's next category follows from the two before it, by a rule that is the same
    in all data sets of the same ``dynamics``; otherwise it is sampled from the user's favourite categories. The item is
    sampled from those of the category that the user has not taken yet, by popularity (Zipf).

    Data sets of the same ``catalogue`` have the same items, with the same categories and qualities. ``seed`` samples
    the users, and the popularity of the items. Ratings are from 1 to 5 in steps of a half: 3, plus the quality of the
    item, plus the mildness of the user, plus a half if the category followed the rule and minus a half otherwise, plus
    noise with a standard deviation of 0.5.
    """

    MODALITY: ClassVar[str] = "interactions"
    KINDS: ClassVar[tuple[str, ...]] = ("ranking", "regression")
    SPLIT: ClassVar[dict] = {"validation": "shipped", "test": "shipped"}
    OPTIONS: ClassVar[dict[str, dict]] = {
        "users": {
            "type": "integer",
            "minimum": 2,
            "default": 300,
            "description": "number of users, each with one sequence",
        },
        "items": {"type": "integer", "minimum": 2, "default": 200, "description": "number of items of the catalogue"},
        "categories": {
            "type": "integer",
            "minimum": 2,
            "default": 8,
            "description": "number of categories of the items",
        },
        "length": {
            "type": "array",
            "items": {"type": "integer", "minimum": 4},
            "minItems": 2,
            "maxItems": 2,
            "default": [10, 30],
            "description": "numbers of items of the shortest and of the longest sequence",
        },
        "regularity": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": 0.9,
            "description": "probability that the next category follows the rule",
        },
        "dynamics": {
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "seed of the rule of categories",
        },
        "catalogue": {"type": "integer", "minimum": 0, "default": 0, "description": "seed of the items"},
        "seed": {
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "seed of users and popularities",
        },
    } | {name: _interactions.OPTIONS[name] for name in ("target", "held_out")}

    def kinds(self) -> tuple[str, ...]:
        return (_interactions.TARGETS[self.option("target")],)

    def size(self) -> dict[str, int] | None:
        users, held_out = self.option("users"), self.option("held_out")
        if self.option("target") == "rating":
            return None
        return {"train": users, "validation": users * held_out, "test": users * held_out}

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        shortest, longest = self.option("length")
        if shortest > longest:
            yield Problem("length", f"the shortest, {shortest}, is longer than the longest, {longest}")
        if longest > self.option("items"):
            yield Problem(
                "length", f"a user takes each of {plural(self.option('items'), 'item')} at most once, not {longest}"
            )
        if shortest < 2 * self.option("held_out") + 2:
            yield Problem("held_out", f"leaves fewer than two of {plural(shortest, 'item')} to train on; lower it")

    def load(self, folder: Path | None) -> Examples:
        options = {"target": self.option("target"), "held_out": self.option("held_out"), "min_interactions": 1}
        return _interactions.examples(self._log(), options, "category_walks")

    def _log(self) -> _interactions.Log:
        categories, items, regularity = (self.option(name) for name in ("categories", "items", "regularity"))
        dynamics = _generator(_DYNAMICS, self.option("dynamics"))
        next_category = dynamics.integers(categories, size=(categories, categories))
        catalogue = _generator(_CATALOGUE, self.option("catalogue"))
        # So that every category has items.
        category = catalogue.permutation(np.arange(items) % categories)
        quality = catalogue.normal(0, 0.5, items)
        generator = _generator(_USERS, self.option("seed"))
        popularity = 1 / (1 + generator.permutation(items))
        low, high = self.option("length")
        rows = []
        for user in range(self.option("users")):
            favourites, mildness = generator.dirichlet(np.ones(categories)), generator.normal(0, 0.5)
            free = np.ones(items, dtype=bool)
            before = generator.choice(categories, size=2, p=favourites)
            for time in range(generator.integers(low, high + 1)):
                expected = next_category[tuple(before)]
                chosen = expected if generator.random() < regularity else generator.choice(categories, p=favourites)
                weights = popularity * free * (category == chosen)
                if not weights.any():
                    # The user has taken all items of that category.
                    weights = popularity * free
                item = generator.choice(items, p=weights / weights.sum())
                free[item] = False
                followed = 0.5 if category[item] == expected else -0.5
                rating = 3 + quality[item] + mildness + followed + generator.normal(0, 0.5)
                rows.append((user, item, time, np.clip(np.round(2 * rating) / 2, 1, 5)))
                before = np.array([before[1], category[item]])
        users, taken, times, ratings = (np.array(column) for column in zip(*rows, strict=True))
        return _interactions.Log(users, taken, times, ratings, items)


def _generator(part: int, seed: int) -> np.random.Generator:
    """Return the random generator of one part of the data."""
    return np.random.default_rng([part, seed])
