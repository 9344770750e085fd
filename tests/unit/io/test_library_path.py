"""The order in which jobs look for the library."""

import os

import pytest

from variability.io import library_path


@pytest.mark.parametrize("before", ["", "other", "lib", f"other{os.pathsep}lib"])
def test_the_library_of_the_checkout_comes_first_and_once(before, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", before)
    library_path.lead_in_jobs("lib")
    assert os.environ["PYTHONPATH"].split(os.pathsep) == ["lib", *(["other"] if "other" in before else [])]
