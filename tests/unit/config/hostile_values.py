"""Values that do not belong into a config, and edits that put them there, as Hypothesis strategies."""

import copy
import datetime
import math
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st


def _self_referring_list() -> list[Any]:
    value: list[Any] = [1]
    value.append(value)
    return value


def _self_referring_mapping() -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    value["b"] = {"c": value}
    return value


def nested(depth: int, make: Callable[[Any], Any]) -> Any:
    """Return a value of as many containers inside each other. make: a container of a value."""
    value: Any = 1
    for _ in range(depth):
        value = make(value)
    return value


NUMBERS = [
    *(math.nan, math.inf, -math.inf, 1e308, 5e-324, -0.0, 0.5, 1.0, 1e6, 1e30),
    *(0, 1, 2, -1, 7, 2**31, 2**32, 2**63, 2**64, 10**30, 10**5000, -(10**5000), True, False, None),
]
TEXTS = [
    *(
        "",
        " ",
        "\n",
        "a\nb",
        "\t",
        "a\x00b",
        "\x07",
        "\x1b[31mred",
        "\u202eabc",
        "a\u200fb",
        "\ud800",
        "\ufeffa",
        "é",
        "ﬀ",
    ),
    *("x" * 300, "x" * 5000, "y" * 100_000, "/" + "x" * 300, "x/" * 3000, "a.b", "a..b", "con", "NUL.txt", "COM1"),
    *(
        ".",
        "..",
        "/",
        "~",
        "../..",
        "./",
        "-",
        "--help",
        "=1+1",
        "%s",
        "{}",
        "{x}",
        "${HOME}",
        "*",
        "?",
        "[",
        "[!",
        "**",
    ),
    *(
        "(",
        "(?P<model",
        "(?P<model>a)(?P<model>b)",
        "(a{1000}){1000}",
        "a{99999999999}",
        "\\",
        "(" * 500,
        "null",
        "none",
    ),
    *(
        "nan",
        "inf",
        "1e3",
        "010",
        "0x1F",
        "1_000",
        "yes",
        "true",
        "all",
        "shipped",
        "best",
        "auto",
        "contents",
        "scores.json",
    ),
    *("pretrain:", "pretrain:nothing", ":", "a.py:", "a.py:b", ".py:build", "hf:", "http://x", "file:///etc/passwd"),
    *("utf-7", "rot13", "zip", "idna", "config.yaml", "/dev/zero", "/dev/null", "/proc/self/mem", "/etc"),
    *(
        "full",
        "linear_probe",
        "digits",
        "torchvision",
        "transformers",
        "keras",
        "resnet18",
        "accuracy",
        "seed",
        "model",
    ),
]


def billion_laughs() -> dict[str, Any]:
    """Return a mapping of 10**9 values that takes the memory of 90, as aliases of aliases do in YAML."""
    return nested(9, lambda inner: dict.fromkeys("abcdefghij", inner))


def containers() -> list[Any]:
    """Return new containers and objects, which an edit may change."""
    return [
        *(
            [],
            {},
            [[]],
            [{}],
            [None],
            [True],
            [0, 0],
            [""],
            {"": None},
            {"a": None},
            {"a": {}},
            {"a": []},
            {"a.b": 1},
            [1, "a"],
        ),
        *({1: 2}, {None: None}, {True: 1}, {math.nan: 1}, {(1, 2): 3}, {"\u202e": 1}, {"x" * 5000: 1}, {"kind": None}),
        *((1, 2), {1, 2}, frozenset(), b"bytes", bytearray(b"x"), 1 + 2j, object(), range(3), int, print),
        *(datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1, 12, 30), datetime.time(1), datetime.timedelta(1)),
        *(list(range(16_000)), list("abc") * 5000, dict.fromkeys(map(str, range(5000))), [0.1] * 3, [0.5, 0.5, 0.5]),
        *(
            nested(40, lambda inner: [inner]),
            nested(3000, lambda inner: [inner]),
            nested(3000, lambda inner: {"a": inner}),
        ),
        *(
            _self_referring_list(),
            _self_referring_mapping(),
            billion_laughs(),
            {"low": 1, "high": 1},
            {"low": 0, "high": math.inf},
        ),
    ]


def value(index: int) -> Any:
    """Return one of the values."""
    return [*NUMBERS, *TEXTS, *containers()][index]


COUNT = len([*NUMBERS, *TEXTS, *containers()])


Place = tuple[Any, Any]
Edit = Callable[[dict[Any, Any]], None]


def places(config: Any) -> Iterator[Place]:
    """Yield each container with each of its keys or indices, at every depth of a tree that is small."""
    stack, seen = [config], set()
    while stack and len(seen) < 500:
        holder = stack.pop()
        if id(holder) in seen or not isinstance(holder, (dict, list)):
            continue
        seen.add(id(holder))
        for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder))[:200]:
            yield holder, key
            stack.append(value)


def _misspelt(key: Any, how: int) -> Any:
    if not isinstance(key, str) or len(key) < 2:
        return how
    at = how % (len(key) - 1)
    forms = [
        key[:at] + key[at + 1 :],
        key[:at] + key[at + 1] + key[at] + key[at + 2 :],
        key.upper(),
        f"{key} ",
        key * 2,
    ]
    return forms[how % len(forms)]


def _apply(kind: str, index: int, other: int, of_value: int, config: dict[Any, Any]) -> None:
    known = list(places(config))
    if not known:
        return
    holder, key = known[index % len(known)]
    holder_of_other, other_key = known[other % len(known)]
    match kind:
        case "replace":
            holder[key] = value(of_value)
        case "delete":
            del holder[key]
        case "double":
            if isinstance(holder, list):
                holder.append(copy.copy(holder[key]))
            else:
                holder[f"{key}-2"] = copy.copy(holder[key])
        case "rename" if isinstance(holder, dict):
            holder[_misspelt(key, other)] = holder.pop(key)
        case "insert":
            if isinstance(holder, list):
                holder.insert(key, value(of_value))
            else:
                holder[_misspelt(other_key, other)] = value(of_value)
        case "swap":
            holder[key], holder_of_other[other_key] = holder_of_other[other_key], holder[key]
        case "share":
            holder_of_other[other_key] = holder[key]
        case "wrap":
            holder[key] = [holder[key]] if other % 2 else {str(key): holder[key]}
        case "text":
            holder[key] = str(holder[key]) if isinstance(holder[key], float) or holder[key] in range(1000) else "text"


KINDS = ("replace", "replace", "replace", "delete", "double", "rename", "insert", "swap", "share", "wrap", "text")
_INDEX = st.integers(0, 10_000)
#: Edits as (kind, index of a place, index of another place, index of a value).
EDITS = st.lists(st.tuples(st.sampled_from(KINDS), _INDEX, _INDEX, st.integers(0, COUNT - 1)), min_size=1, max_size=3)


def edited(config: dict[str, Any], edits: list[tuple[str, int, int, int]]) -> dict[Any, Any]:
    """Return a copy of a config after some edits."""
    changed = copy.deepcopy(config)
    for edit in edits:
        _apply(*edit, changed)
    return changed
