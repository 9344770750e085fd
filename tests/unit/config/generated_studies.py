"""Studies of small files, which together use every kind of data set, provider and import that reads a file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_NETWORK = """
import torch


def build(width=4):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, width), torch.nn.Linear(width, 2))
"""


def generated(folder: Path) -> list[dict[str, Any]]:
    """Write the files, and return the studies."""
    text = "".join(f"text {row},{'yes' if row % 2 else 'no'},{row / 2}\n" for row in range(40))
    (folder / "texts.csv").write_text(f"text,label,score\n{text}")
    rows = "".join(f"{user},{item},{item},{1 + item % 5}\n" for user in range(8) for item in range(user, user + 9))
    (folder / "log.csv").write_text(f"user,item,time,rating\n{rows}")
    rows = "".join(f"{model},{seed},0.{5 + seed},0.{4 + seed}\n" for model in "ab" for seed in range(3))
    (folder / "runs.csv").write_text(f"m,s,acc,val\n{rows}")
    rows = "".join(f"m,{task},{seed},accuracy,0.{seed}5\n" for task in ("t1", "t2") for seed in range(3))
    (folder / "long.csv").write_text(f"model,task,seed,metric,value\n{rows}")
    (folder / "nets.py").write_text(_NETWORK)
    images = np.arange(20 * 8 * 8 * 3, dtype=np.uint8).reshape(20, 8, 8, 3)
    with zipfile.ZipFile(folder / "images.zip", "w"):
        pass
    for index, image in enumerate(images):
        path = folder / "images" / ("train" if index % 4 else "test") / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    listed = "".join(f"{path.relative_to(folder)},{index / 3}\n" for index, path in enumerate(folder.rglob("*.png")))
    (folder / "images.csv").write_text(f"image,label\n{listed}")
    labels = np.arange(20) % 2
    arrays = {"images": images, "labels": labels[:, None]}
    np.savez(
        folder / "images.npz",
        **{f"{part}_{kind}": arrays[kind] for part in ("train", "val", "test") for kind in arrays},
    )
    return [_images(folder), _others(folder), _imports(folder)]


def _images(folder: Path) -> dict[str, Any]:
    own = {"architecture": f"{folder / 'nets.py'}:build", "options": {"width": 4}}
    size = {"size": 8}
    folders = {"path": str(folder / "images"), "unreadable": "refuse"}
    table = {"path": str(folder / "images.csv"), "images": str(folder), "target": "number"}
    return {
        "study": "images",
        "seeds": [0, 1, 2],
        "models": {"own": own | {"head": "2"}, "net": {"architecture": "resnet18", "weights": "none"}},
        "tasks": {
            "folders": {"dataset": "image_folder", "options": folders, "image": size, "split": {"train": 8}},
            "table": {"dataset": "image_table", "options": table, "image": size, "split": {"test": 0.3}},
            "npz": {"dataset": "npz", "options": {"path": str(folder / "images.npz")}, "image": size},
        },
        "methods": {
            "linear_probe": None,
            "full": {"recipe": {"augmentation": {"flip": True}}},
            "again": {"repeats": "full"},
        },
        "overrides": [{"model": "own", "recipe": {"epochs": 2}}],
        "grid": {"include": [{"model": "*"}], "exclude": [{"seed": [2], "method": "again"}]},
        "scales": {"accuracy": {"normalise": {"low": 0.1, "high": 1.0}, "reference": {"folders": 0.5}}},
        "analyses": {"intervals": {"level": 0.9}, "churn": False},
        "plots": ["seed_spread", {"ranks": {}}],
        "mirrors": [str(folder)],
    }


def _others(folder: Path) -> dict[str, Any]:
    ranking = {"hidden_size": 8, "layers": 1, "heads": 2, "dropout": 0.0}
    texts = {"path": str(folder / "texts.csv"), "text": "text", "label": "label", "separator": ","}
    log = {"path": str(folder / "log.csv"), "columns": {"user": "user", "item": "item"}}
    return {
        "study": "others",
        "seeds": [0, 1],
        "models": {
            "sasrec": {"provider": "sequential", "architecture": "sasrec", "options": ranking},
            "popular": {"provider": "counting", "architecture": "popularity"},
        },
        "tasks": {
            "log": {"dataset": "interactions_table", "options": log, "interactions": {"max_length": 5}},
            "walks": {
                "dataset": "category_walks",
                "options": {"users": 30, "items": 20, "categories": 3, "length": [6, 8]},
                "interactions": {"max_length": 5},
            },
        },
        "methods": {"linear_probe": {}, "full": {}},
        "pretraining": {
            "texts": {"task": {"dataset": "text_table", "options": texts, "split": {"validation": 5, "test": 5}}}
        },
        "grid": {"exclude": [{"model": "popular", "method": "full"}, {"model": "popular", "seed": 1}]},
        "metrics": ["ndcg", "hr"],
        "mirrors": [str(folder)],
        "checkpoints": "best",
        "compute": {"threads": 1, "seeds_per_job": 2, "features_gb": 1},
    }


def _imports(folder: Path) -> dict[str, Any]:
    wide = {"m": "model", "s": "seed"}
    return {
        "study": "imports",
        "imports": {
            "wide": {
                "path": str(folder / "runs.csv"),
                "columns": {role: column for column, role in wide.items()},
                "constants": {"task": "t0", "method": "full"},
                "metrics": {"acc": {"metric": "accuracy"}, "val": {"metric": "accuracy", "split": "validation"}},
                "where": {"m": ["a", "b"]},
            },
            "long": {
                "path": [str(folder / "long.csv")],
                "from_path": "(?P<method>[a-z]+)",
                "columns": {name: name for name in ("model", "task", "seed", "metric", "value")},
                "primary": {"t1": "accuracy"},
            },
        },
        "scales": {"accuracy": {"unit": "fraction", "range": [0, None]}},
        "pairing": "seed",
        "claims": ["beats"],
    }
