"""Generated interactions whose structure is known: users who walk over the categories of a catalogue."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from variability.data.datasets import Dataset, Examples, _interactions

#: Parts of the generated data, each with a generator of its own.
_DYNAMICS, _CATALOGUE, _USERS = 0, 1, 2


class CategoryWalks(Dataset):
    """Each item has a category, which no one is told. A user's next category follows from the two before it, the same
    way in every domain of the same ``dynamics``, with probability ``regularity``, and is one of the user's own
    favourites else; the item is one of the category's that the user has not taken yet, by its popularity (Zipf).

    Domains of one ``dynamics`` walk alike; those of one ``catalogue`` have the same items, of the same categories and
    quality; ``seed`` draws the users, and which items are popular with them. ratings: 1 to 5 in halves, of the item's
    quality, the user's mildness, and half a point up where the category was the one that the two before it lead to,
    half a point down where not, with noise of SD 0.5.
    """

    MODALITY: ClassVar[str] = "interactions"
    KINDS: ClassVar[tuple[str, ...]] = ("ranking", "regression")
    SPLIT: ClassVar[dict] = {"validation": "shipped", "test": "shipped"}
    OPTIONS: ClassVar[dict[str, dict]] = {
        "users": {"type": "integer", "minimum": 2, "default": 300},
        "items": {"type": "integer", "minimum": 2, "default": 200},
        "categories": {"type": "integer", "minimum": 2, "default": 8},
        "length": {
            "type": "array",
            "items": {"type": "integer", "minimum": 4},
            "minItems": 2,
            "maxItems": 2,
            "default": [10, 30],
            "description": "of the shortest and the longest sequence",
        },
        "regularity": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.9},
        "dynamics": {"type": "integer", "minimum": 0, "default": 0, "description": "seed of what follows what"},
        "catalogue": {"type": "integer", "minimum": 0, "default": 0, "description": "seed of the items"},
        "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "of the users, and of what they like"},
    } | {name: _interactions.OPTIONS[name] for name in ("target", "held_out")}

    def kinds(self):
        return (_interactions.TARGETS[self._option("target")],)

    def size(self):
        users, held = self._option("users"), self._option("held_out")
        if self._option("target") == "rating":
            return None
        return {"train": users, "validation": users * held, "test": users * held}

    def check(self, mirrors=()):
        from variability.errors import Problem

        shortest, longest = self._option("length")
        if shortest > longest:
            yield Problem("length", f"the shortest, {shortest}, is longer than the longest, {longest}")
        if longest > self._option("items"):
            yield Problem("length", f"a user takes each of {self._option('items')} items once at most, not {longest}")
        if shortest < 2 * self._option("held_out") + 2:
            yield Problem("held_out", f"leaves a sequence of {shortest} under two items to train on; ask for fewer")

    def load(self, folder: Path | None) -> Examples:
        options = {"target": self._option("target"), "held_out": self._option("held_out"), "min_interactions": 1}
        return _interactions.examples(self._log(), options, "category_walks")

    def _option(self, name):
        return self.options.get(name, self.OPTIONS[name]["default"])

    def _log(self) -> _interactions.Log:
        categories, items, regularity = (self._option(name) for name in ("categories", "items", "regularity"))
        shared = _generator(_DYNAMICS, self._option("dynamics"))
        leads_to = shared.integers(categories, size=(categories, categories))
        made = _generator(_CATALOGUE, self._option("catalogue"))
        # Every category has items.
        category = made.permutation(np.arange(items) % categories)
        quality = made.normal(0, 0.5, items)
        own = _generator(_USERS, self._option("seed"))
        popularity = 1 / (1 + own.permutation(items))
        low, high = self._option("length")
        rows = []
        for user in range(self._option("users")):
            favourites, mildness = own.dirichlet(np.ones(categories)), own.normal(0, 0.5)
            free = np.ones(items, dtype=bool)
            before = own.choice(categories, size=2, p=favourites)
            for time in range(own.integers(low, high + 1)):
                led = leads_to[tuple(before)]
                now = led if own.random() < regularity else own.choice(categories, p=favourites)
                weights = popularity * free * (category == now)
                if not weights.any():
                    # The user has had all of that category.
                    weights = popularity * free
                item = own.choice(items, p=weights / weights.sum())
                free[item] = False
                said = 3 + quality[item] + mildness + (0.5 if category[item] == led else -0.5) + own.normal(0, 0.5)
                rows.append((user, item, time, np.clip(np.round(2 * said) / 2, 1, 5)))
                before = np.array([before[1], category[item]])
        users, taken, times, ratings = (np.array(column) for column in zip(*rows, strict=True))
        return _interactions.Log(users, taken, times, ratings, items)


def _generator(part: int, seed: int) -> np.random.Generator:
    """Return the generator of one part, by that part's own option."""
    return np.random.default_rng([part, seed])
