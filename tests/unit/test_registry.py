import pytest

from variability import advice, registry
from variability.errors import UserError


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_every_file_of_a_family_holds_one_plugin(family):
    assert registry.names(family)
    for name in registry.names(family):
        assert registry.find(family, name).__module__ == f"{registry.FAMILIES[family][0]}.{name}"


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UserError, match=r"unknown dataset 'digit'; did you mean 'digits'\?"):
        registry.find("datasets", "digit")


def test_a_name_in_another_case_is_recognised():
    assert advice.suggest("FASHIONMNIST", ["MNIST", "FashionMNIST"]) == "did you mean 'FashionMNIST'?"


def test_without_a_near_name_all_are_listed():
    assert advice.suggest("zzz", ["linear_probe", "full"]) == "known: linear_probe, full"
