import pandas as pd
import pytest

from variability.reporting import claims

CLAIM = {"effect": 13.0, "low": 4.0, "high": 46.0, "level": 0.95, "interval": "t", "p_adjusted": 0.113, "n": 5}
CLAIM |= {"verdict": claims.UNDECIDED, "n_more": float("nan"), "against": None, "note": None}


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("SD of mse", "SD of mse 13; 95 % t [4, 46]"),
        ("of the replicates", "13 of the replicates; 95 % t [4, 46]"),
        (None, "effect +13; 95 % t [4, 46]"),
    ],
)
def test_the_unit_follows_the_number_but_an_sd_precedes_it(unit, start):
    assert claims.evidence(pd.Series(CLAIM | {"unit": unit})) == f"{start}; adjusted p 0.113; n = 5"


def test_an_sd_has_two_digits_of_its_own_where_its_interval_is_wide():
    row = pd.Series(CLAIM | {"unit": "SD of mae", "effect": 0.00148, "low": 0.0, "high": 0.04})
    assert claims.evidence(row).startswith("SD of mae 0.0015; 95 % t [0.000, 0.040];")
    none = claims.evidence(row.replace(0.00148, 0.0))
    assert none.startswith("SD of mae 0.000; 95 % t [0.000, 0.040];")


def test_the_other_side_of_an_effect_is_named_where_the_sentence_does_not():
    row = pd.Series(CLAIM | {"unit": None, "against": "b (full)"})
    assert claims.evidence(row) == "effect +13 against b (full); 95 % t [4, 46]; adjusted p 0.113; n = 5"
