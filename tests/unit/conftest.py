import pytest
import tiny_study

from variability import registry


@pytest.fixture
def tiny_provider(monkeypatch):
    """Makes the provider ``tiny`` known for the length of a test."""
    monkeypatch.setattr(registry, "find", registry.find)
    tiny_study.install()
