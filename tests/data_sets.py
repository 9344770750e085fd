"""Data sets by name, what their check objects to, and a table of images to read."""

from variability import registry


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
