"""Positions in random streams: pinned, distinct, and addressed by name only."""

import ast
import inspect
import itertools
import random
import string
from pathlib import Path

import numpy as np
import pytest
import torch

from variability import seeding
from variability.data.datasets import category_walks, glyphs
from variability.stats import resampling

LIB = Path(seeding.__file__).parent

#: Names of the table: functions that return a position.
TABLE = {
    name: function
    for name, function in inspect.getmembers(seeding, inspect.isfunction)
    if inspect.signature(function).return_annotation is seeding.Position
}
#: Values over which every position is enumerated, by the name of the parameter.
VALUES = {
    "seed": [*range(8), 2**31 - 1, 2**32 - 1, 2**32, 2**32 + 1],
    "epoch": range(10),
    "batch": range(10),
    "view": range(10),
    "row": range(10),
    "layer": range(10),
    "name": ["test", "validation", "train"],
}
#: Integers of the streams' roots for seed 7.
ROOTS = {
    "init": 8991352814038251915,
    "order": 5643503107831324038,
    "augment": 7293023532049081874,
    "dropout": 3326197746456464463,
    "split": 1122064331031317008,
}
#: The integer of each position of the table. Published results depend on them: a change here changes what every seed of
#: every study means.
PINNED = [
    ("backbone", (7,), 8991352814038251915),
    ("head", (7,), 8471978562473745406),
    ("adapters", (7,), 5080051790188285026),
    ("example_order", (7, 3), 4857590183496150049),
    ("batch_order", (7, 3), 1443523974412568359),
    ("batch_augmentation", (7, 3, 5), 8743028394803441704),
    ("flips", (7, 3, 5), 1379773880851246546),
    ("crops", (7, 3, 5), 5444015349142750828),
    ("randaugment", (7, 3, 5), 7921143853863388499),
    ("view_flips", (3,), 5454808053653041200),
    ("view_crops", (3,), 2805069587883557653),
    ("view_randaugment", (3, 5), 1141886710063846272),
    ("dropout", (7, 3), 7302831797182093515),
    ("layer_dropout", (7, 3, 4), 6695999995793373307),
    ("split", (7, "test"), 3221545400248590322),
    ("split", (7, "validation"), 8196320611634253013),
    ("split", (7, "train"), 7520373721911392945),
]


def test_streams_of_one_seed_are_distinct_and_reproducible():
    values = {stream: seeding.stream_number(7, stream) for stream in seeding.STREAMS}
    assert len(set(values.values())) == len(seeding.STREAMS)
    assert values == {stream: seeding.stream_number(7, stream) for stream in seeding.STREAMS}


def test_the_meaning_of_a_seed_is_pinned():
    assert seeding.stream_number(0, "init") == 8570015843919116253
    assert seeding.example_order(0, 3).generator().permutation(5).tolist() == [2, 4, 3, 0, 1]
    assert {stream: seeding.stream_number(7, stream) for stream in seeding.STREAMS} == ROOTS


@pytest.mark.parametrize(("name", "arguments", "integer"), PINNED)
def test_positions_are_pinned(name, arguments, integer):
    position = TABLE[name](*arguments)
    assert position.integer() == integer
    assert position.torch_generator().initial_seed() == integer
    assert position.generator().random() == np.random.default_rng(position.sequence()).random()


def test_every_position_is_pinned():
    assert {name for name, _, _ in PINNED} == TABLE.keys()


def test_no_two_positions_start_from_the_same_state():
    starts = {}
    for name, function in TABLE.items():
        ranges = [VALUES[parameter] for parameter in inspect.signature(function).parameters]
        for arguments in itertools.product(*ranges):
            starts[name, arguments] = function(*arguments)
    states = {start: state_of(position.generator()) for start, position in starts.items()}
    assert len(states) > 6500
    assert not duplicates(states)
    assert not duplicates({start: position.integer() for start, position in starts.items()})


def test_data_sets_and_analyses_share_no_state_with_a_run_or_with_each_other():
    seeds = VALUES["seed"]
    states = {
        ("glyphs", seed, font, letter): state_of(glyphs._generator(seed, font, letter))
        for seed, font, letter in itertools.product(seeds[:3], glyphs.FAMILY, string.ascii_letters + string.digits)
    }
    parts = category_walks._DYNAMICS, category_walks._CATALOGUE, category_walks._USERS
    for part, seed in itertools.product(parts, seeds):
        states["category_walks", part, seed] = state_of(category_walks._generator(part, seed))
    for seed, names in itertools.product(seeds, [("ranks",), ("ranks", "digits"), ("pairwise", "digits")]):
        states["resampling", seed, names] = state_of(resampling.generator(seed, *names))
    for name in TABLE:
        ranges = [VALUES[parameter] for parameter in inspect.signature(TABLE[name]).parameters]
        for arguments in itertools.product(*(values[:3] for values in ranges)):
            states[name, arguments] = state_of(TABLE[name](*arguments).generator())
    assert not duplicates(states)


def state_of(generator: np.random.Generator) -> tuple[int, int]:
    state = generator.bit_generator.state["state"]
    return state["state"], state["inc"]


def duplicates(states: dict) -> list[tuple]:
    """Return the pairs of keys whose states are equal."""
    first: dict = {}
    return [(first[state], key) for key, state in states.items() if first.setdefault(state, key) != key]


def test_duplicates_are_found():
    assert duplicates({"a": 1, "b": 2, "c": 1}) == [("a", "c")]


def test_sampling_from_one_stream_does_not_shift_another():
    before = seeding.example_order(1, 1).generator().permutation(10)
    seeding.backbone(1).generator().normal(size=1000)
    np.testing.assert_array_equal(before, seeding.example_order(1, 1).generator().permutation(10))


def test_positions_in_a_stream_differ():
    sampled = {seeding.batch_augmentation(0, epoch, batch).integer() for epoch in range(5) for batch in range(5)}
    assert len(sampled) == 25


def test_an_unknown_stream_is_refused():
    with pytest.raises(ValueError, match="unknown stream 'ordr'"):
        seeding.stream_number(0, "ordr")


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="not in tuple"):
        seeding.split(0, "tset")


def test_torch_global_seeds_inside_and_leaves_the_outside_as_it_was():
    torch.manual_seed(123)
    outside = torch.get_rng_state()
    with seeding.dropout(0, 1).torch_global():
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), outside)
    with seeding.dropout(0, 1).torch_global():
        assert torch.equal(torch.rand(3), first)
    with seeding.dropout(0, 2).torch_global():
        assert not torch.equal(torch.rand(3), first)


def test_the_states_of_torchs_generators_continue_a_stream_in_another_place():
    with seeding.dropout(0, 1).torch_global():
        torch.rand(5)
        states = seeding.torch_states("cpu")
        rest = torch.rand(7)
    with seeding.dropout(3, 4).torch_global():
        seeding.set_torch_states(states, "cpu")
        assert torch.equal(torch.rand(7), rest)


def test_python_global_seeds_inside_and_leaves_the_outside_as_it_was():
    outside = random.getstate()
    with seeding.backbone(0).python_global():
        first = random.random()
    assert random.getstate() == outside
    assert first == random.Random(seeding.backbone(0).integer()).random()
    with pytest.raises(RuntimeError), seeding.backbone(0).python_global():
        raise RuntimeError
    assert random.getstate() == outside


#: Files that may create generators: ``seeding``, and the separate namespaces that its docstring names.
CREATORS = {"seeding.py", "resampling.py", "glyphs.py", "category_walks.py"}
#: Functions that create, seed or restore generators, in NumPy, PyTorch, Python, Keras and TensorFlow.
CREATING = {
    *("default_rng", "SeedSequence", "RandomState", "PCG64", "Philox", "MT19937", "SFC64"),
    *("manual_seed", "manual_seed_all", "fork_rng", "default_generator", "set_rng_state"),
    *("set_random_seed", "set_seed", "SeedGenerator"),
}
#: Attributes that may be used of ``seeding`` and of the namespaces of the libraries' global generators.
ALLOWED = {
    "seeding": {*TABLE, "STREAMS", "stream_number", "torch_states", "set_torch_states"},
    **{"np.random": {"Generator"}, "numpy.random": {"Generator"}, "tf.random": set(), "torch.random": set()},
}


def offences(source: str) -> list[str]:
    """Return the expressions in a module's source that obtain random numbers other than by a name of the table."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {getattr(node, "module", None), *(alias.name for alias in node.names)}
            if names & ({"random", "numpy.random", "torch.random", "variability.seeding"} | CREATING):
                problems.append(ast.unparse(node))
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            refused = node.attr in CREATING or ast.unparse(node) in ("torch.Generator", "torch.seed")
            if refused or (owner in ALLOWED and node.attr not in ALLOWED[owner]):
                problems.append(ast.unparse(node))
    return problems


def test_no_module_samples_other_than_by_a_name_of_the_table():
    modules = [path for path in LIB.rglob("*.py") if path.name not in CREATORS]
    assert len(modules) > 100
    problems = {str(path.relative_to(LIB)): offences(path.read_text()) for path in modules}
    assert {path: listed for path, listed in problems.items() if listed} == {}


def test_every_name_of_the_table_is_used():
    sources = "\n".join(path.read_text() for path in LIB.rglob("*.py"))
    assert [name for name in TABLE if f"seeding.{name}(" not in sources] == []


@pytest.mark.parametrize(
    "source",
    [
        "import random",
        "from torch import manual_seed",
        "from random import shuffle",
        "from variability.seeding import Position",
        "seeding.Position(0, 'augment', (1, 2))",
        "seeding.generator(0, 'augment', 1, 2)",
        "np.random.default_rng(0)",
        "np.random.seed(0)",
        "np.random.normal()",
        "torch.manual_seed(0)",
        "torch.Generator().manual_seed(0)",
        "torch.random.fork_rng()",
        "keras.utils.set_random_seed(0)",
        "tf.random.uniform((3,))",
    ],
)
def test_sampling_other_than_by_a_name_of_the_table_is_noticed(source):
    assert offences(source)


@pytest.mark.parametrize("source", ["rng: np.random.Generator", "seeding.head(seed).generator()", "seeding.STREAMS"])
def test_sampling_by_a_name_of_the_table_is_accepted(source):
    assert offences(source) == []
