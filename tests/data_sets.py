"""Data sets by name, what their check objects to, and small inputs: images, their tables, interactions."""

import numpy as np
from PIL import Image

from variability import registry
from variability.data.datasets import _interactions

# User, item, rating, time: each user has five items, in a different order than the rows.
INTERACTIONS = [
    (user, item, (user + item) % 5 + 1, 100 * user + (item * 3 + user) % 5)
    for user in (7, 9, 8)
    for item in range(10, 15)
]


def plugin(name, /, **options):
    return registry.find("datasets", name)(options)


def problems(name, mirrors=(), /, **options):
    return [str(problem) for problem in plugin(name, **options).check(mirrors)]


def listed(photos, targets=("old", "new"), table="list.csv", **columns):
    """Write a table of the photos, whose labels repeat ``targets``, and return the options to read it."""
    import pandas as pd

    files = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    frame = pd.DataFrame({"image": files, "label": [targets[row % len(targets)] for row in range(len(files))]})
    frame = frame.assign(**columns)
    if table.endswith(".parquet"):
        frame.to_parquet(photos / table)
    else:
        frame.to_csv(photos / table, index=False, sep="\t" if table.endswith(".tsv") else ",")
    return {"path": str(photos / table)}


def class_folders(folder, count=10, classes=("left", "right"), suffix=".png"):
    """Write small photos to one folder for each class, and return the folder that holds them."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((20, 30, 3), 20 * number % 200 + label, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}{suffix}")
    return folder


def task_spec(dataset="digits", options=None, size=12, color="rgb", **split):
    """Return the spec of a task, as the stage that prepares it receives it."""
    return {
        "name": "some",
        "dataset": dataset,
        "options": options or {},
        "kind": "classification",
        "modality": "image",
        "input": {"size": size, "color": color},
        "split": {"train": "all", "validation": 4, "test": 6, "seed": 0, "resample": False} | split,
    }


def interaction_log(rows=INTERACTIONS):
    users, items, ratings, times = (np.array(column) for column in zip(*rows, strict=True))
    return _interactions.Log(users, items, times, ratings.astype(float))


def interaction_examples(rows=INTERACTIONS, **options):
    return _interactions.examples(interaction_log(rows), {"min_interactions": 2} | options, "the log")
