"""Files of weights of unknown origin: what is no ordinary state dict is refused by one sentence with its name."""

import json
import pickle
import struct
import zipfile
from collections import OrderedDict

import pytest
import safetensors.torch
import torch
from torch import nn

from variability.errors import UserError
from variability.io import limits
from variability.models.providers._hub import shards
from variability.models.strict_loading import load_strictly
from variability.models.weight_files import equal_tensors, holds_exactly, read_tensors


def refused(path, message):
    with pytest.raises(UserError, match=message) as raised:
        read_tensors(path)
    assert str(path) in str(raised.value) and len(str(raised.value)) < 700


def cyclic():
    state = OrderedDict(a=torch.ones(1))
    state["state_dict"] = state
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "has no tensors"),
        ({"state_dict": {}}, "has no tensors"),
        ([torch.ones(1)], "has a list instead of a state dict"),
        (torch.ones(1), "has a Tensor instead of a state dict"),
        ({0: torch.ones(1)}, "the name 0, a int instead of text"),
        ({("a", 1): torch.ones(1)}, "a tuple instead of text"),
        ({None: torch.ones(1)}, "a NoneType instead of text"),
        ({"": torch.ones(1)}, "a tensor has no name"),
        ({" \n": torch.ones(1)}, "a tensor has no name"),
        ({"x" * 100_000: torch.ones(1)}, "a name of 100000 characters"),
        ({"a": 3}, "has 'a', which is not a tensor"),
        ({"a": [torch.ones(1)]}, "has 'a', which is not a tensor"),
        (cyclic(), "'state_dict', which is not a tensor"),
        ({"a": torch.zeros(1).expand(10**12)}, "'a' has 1000000000000 values, of which the file holds 1;"),
        ({"a": torch.zeros(4).as_strided((10**6, 10**6), (0, 0))}, "of which the file holds 4;"),
        ({"a": torch.zeros(3, 3).to_sparse()}, "'a' is sparse"),
        (
            {
                "a": torch.sparse_coo_tensor(
                    torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (10**12,), check_invariants=True
                )
            },
            "is sparse",
        ),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "'a' is sparse, nested, quantised or complex"),
        ({"a": torch.zeros(2, device="meta")}, "'a' has no content"),
        ({"b": torch.ones(2), "a": torch.tensor([1.0, torch.nan])}, "'a' has values that are NaN or infinite"),
        ({"a": torch.tensor([torch.inf, -torch.inf])}, "'a' has values that are NaN or infinite"),
        ({"a": torch.tensor([torch.nan], dtype=torch.float16)}, "'a' has values that are NaN or infinite"),
        ({"a": torch.tensor([torch.nan], dtype=torch.bfloat16)}, "'a' has values that are NaN or infinite"),
        ({"a": torch.tensor([torch.nan]).to(torch.float8_e5m2)}, "'a' has values that are NaN or infinite"),
    ],
)
def test_a_state_that_no_network_has_is_refused(tmp_path, state, message):
    torch.save(state, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", message)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.full((3,), 65_000.0, dtype=torch.float16),
        torch.full((3,), torch.finfo(torch.float32).max),
        torch.tensor([0.0, -torch.inf]),
        torch.zeros(0, 3),
        torch.tensor(7),
        torch.ones(2, 3).T,
        torch.arange(6)[2:4],
        torch.tensor([True]),
        torch.zeros(1).to(torch.float8_e5m2),
    ],
    ids=str,
)
def test_ordinary_tensors_of_any_type_are_read(tmp_path, tensor):
    torch.save({"a": tensor, "shared": tensor}, tmp_path / "x.pth")
    read, _ = read_tensors(tmp_path / "x.pth")
    assert read["a"].dtype == tensor.dtype and torch.equal(read["a"].float(), tensor.float())


@pytest.mark.parametrize("versions", [3, [1, 2], {1: {"version": 2}}, {"bn": 7}, None])
def test_damaged_versions_count_as_none(tmp_path, versions):
    state = OrderedDict(a=torch.ones(1))
    state._metadata = versions
    torch.save(state, tmp_path / "x.pth")
    assert read_tensors(tmp_path / "x.pth")[1] == {}


def test_a_compressed_pth_that_expands_a_thousandfold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "HARMLESS_BYTES", 10**6)
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as old, zipfile.ZipFile(tmp_path / "x.pth", "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    refused(tmp_path / "x.pth", r"it expands to 4(\.00)? MB or more, .* save it as \.safetensors")
    read_tensors(tmp_path / "plain.pth")


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x80\x02.", pickle.dumps({"a": 1}), b"<html>", b"\0" * 600])
@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_file_of_something_else_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, r"x\.")


@pytest.mark.parametrize("position", range(0, 1000, 50))
def test_a_damaged_pth_is_refused_or_reads_as_tensors(tmp_path, position):
    torch.save({"a": torch.ones(10), "b": torch.ones(10)}, tmp_path / "x.pth")
    content = bytearray((tmp_path / "x.pth").read_bytes())
    content[position : position + 8] = b"\xff" * 8
    (tmp_path / "x.pth").write_bytes(content)
    try:
        read_tensors(tmp_path / "x.pth")
    except UserError as error:
        assert str(tmp_path / "x.pth") in str(error)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F4", "shape": [16], "data_offsets": [0, 8]}},
        {"a": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}},
        {"": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}},
        {"a": 3},
        [],
        {},
    ],
    ids=str,
)
def test_a_safetensors_file_with_an_impossible_header_is_refused(tmp_path, header):
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 8)
    refused(tmp_path / "x.safetensors", r"x\.safetensors")


def test_nan_in_safetensors_is_refused(tmp_path):
    safetensors.torch.save_file({"a": torch.tensor([torch.nan])}, tmp_path / "x.safetensors")
    refused(tmp_path / "x.safetensors", "NaN")


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (), (2, 3, 1)])
def test_a_head_of_another_shape_is_named(shape):
    network = nn.Sequential(OrderedDict(body=nn.Linear(3, 3), head=nn.Linear(3, 2)))
    tensors = network.state_dict() | {"head.weight": torch.zeros(shape)}
    with pytest.raises(UserError, match=r"fit: 1 tensor of another shape: head\.weight"):
        load_strictly(network, "head", tensors, {}, "x.pth does not fit", lambda: "Correct it")


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/x.safetensors", "a/x.safetensors", "x.bin", "", "..", 3, None]
)
def test_an_index_names_only_files_next_to_it(tmp_path, name):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": name}}))
    with pytest.raises(UserError, match=r"which is not a \.safetensors file next to it"):
        shards(index)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": []}}', "[" * 10**5])
def test_a_damaged_index_is_one_sentence(tmp_path, text):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    with pytest.raises(UserError, match=r"is not an index of files of tensors|which is not"):
        shards(index)
    index.write_text('{"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}')
    assert shards(index) == ["1.safetensors", "2.safetensors"]


def test_equal_tensors_have_the_same_name_type_shape_and_bits(tmp_path):
    stored = {name: torch.tensor([0.0, 1.5, float("nan")]) for name in "abcdef"} | {"number": torch.tensor(3)}
    safetensors.torch.save_file(stored, tmp_path / "w.safetensors")
    others = {
        "a": torch.stack([stored["a"], torch.ones(3)], dim=1)[:, 0],
        "b": torch.tensor([-0.0, 1.5, float("nan")]),
        "c": stored["c"].half(),
        "d": stored["d"].reshape(1, 3),
        "f": nn.Parameter(stored["f"]),
        "number": torch.tensor(3),
        "unknown": torch.ones(1),
    }
    assert equal_tensors(tmp_path / "w.safetensors", others) == ["a", "f", "number"]


def test_a_file_holds_exactly_its_own_tensors(tmp_path):
    path, tensors = tmp_path / "w.safetensors", {"a": torch.ones(2), "b": torch.zeros(1)}
    safetensors.torch.save_file(tensors, path)
    assert holds_exactly(path, tensors)
    for other in ({"a": tensors["a"]}, tensors | {"c": torch.ones(1)}, tensors | {"a": torch.tensor([1.0, 2.0])}):
        assert not holds_exactly(path, other)
    assert not holds_exactly(path, {name: tensor.numpy() for name, tensor in tensors.items()})
    torch.save(tensors, tmp_path / "w.pth")
    assert not holds_exactly(tmp_path / "w.pth", tensors)
