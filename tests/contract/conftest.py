import urllib.request

import numpy as np
import pytest
import requests
from PIL import Image


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("torchvision used the network without the fetcher")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(requests.Session, "request", refuse)


@pytest.fixture
def arrays(tmp_path):
    generator = np.random.default_rng(0)
    parts = {
        f"{name}_{what}": value
        for name, count in (("train", 12), ("val", 4), ("test", 6))
        for what, value in (
            ("images", generator.integers(0, 256, (count, 9, 7), dtype=np.uint8)),
            ("labels", (np.arange(count) % 2)[:, None]),
        )
    }
    np.savez(tmp_path / "small.npz", **parts)
    return tmp_path / "small.npz"


@pytest.fixture
def photos(tmp_path):
    for partition in ("train", "val", "test"):
        for label, name in enumerate(("left", "right")):
            (tmp_path / "photos" / partition / name).mkdir(parents=True)
            for number in range(2):
                pixels = np.full((6, 5 + number, 3), 10 * label, dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / partition / name / f"{number}.png")
    return tmp_path / "photos"
