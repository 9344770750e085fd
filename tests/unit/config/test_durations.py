import pytest
import small_config

from variability.config import durations


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("10 min", 600), ("90 s", 90), ("1 h", 3600), ("1.5 h", 5400), ("2min", 120), (45, 45), ("45", 45)],
)
def test_durations_are_read_in_seconds(written, seconds):
    assert durations.seconds(written) == seconds


def test_the_study_has_the_seconds_and_ten_minutes_by_default():
    assert small_config.changed().compute["save_every"] == 600
    assert small_config.changed(compute={"save_every": "1 h"}).compute["save_every"] == 3600


@pytest.mark.parametrize("written", ["soon", "10 m", "-5 s", "0 min", "1e3 s", "min", "10 min 5 s"])
def test_what_is_not_a_duration_is_refused(written):
    with pytest.raises(ValueError, match="is not a duration"):
        durations.seconds(written)
