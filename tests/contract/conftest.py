import urllib.request

import pytest


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("torchvision went to the network past the fetcher")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
