"""Names with any characters are shown as they are, in one line, and remain different."""

import re

import pandas as pd
import pytest

from variability.reporting import display_names

LONG = "a-suite/regression-cat-medium-0-" + "x" * 90


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a\nb", "a↵b"),
        ("a\r\nb", "a↵b"),
        ("a\tb", "a b"),
        ("a\x00b\x1b", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        ("a\u2028b\x85", "a↵b↵"),
        ("größe $x$ \\ {}", "größe $x$ \\ {}"),
    ],
)
def test_a_name_has_one_line(name, line):
    assert display_names.one_line(name) == line


def test_long_names_are_shortened_visibly_and_remain_different():
    names = [f"{LONG}{end}" for end in "abc"] + [f"{'b' * 40}{middle}{'c' * 40}" for middle in "123"] + ["short"]
    shown = display_names.shortened(names)
    assert "short" not in shown and len(shown) == 6
    assert all("…" in text and len(text) == display_names.LONGEST for text in shown.values())
    assert len(set(shown.values())) == 6
    assert all(text[:20] == name[:20] and text[-20:] == name[-20:] for name, text in shown.items())


def test_tables_of_a_figure_show_a_name_in_the_same_way_and_numbers_unchanged():
    runs = pd.DataFrame({"model": [LONG, "b\nc"], "task": ["t", None], "value": [0.5, 0.25]})
    ranks = pd.DataFrame({"model_b": [LONG], "not_different_from": [f"{LONG} (full); b\nc (full)"], "n": [3]})
    shown = display_names.for_figures({"runs": runs, "ranks": ranks})
    name = shown["runs"]["model"][0]
    assert name != LONG and shown["ranks"]["model_b"][0] == name
    assert shown["ranks"]["not_different_from"][0] == f"{name} (full); b↵c (full)"
    assert shown["runs"]["value"].tolist() == [0.5, 0.25] and shown["runs"]["task"].isna().tolist() == [False, True]
    assert runs["model"][0] == LONG, "the table itself is unchanged"


def test_ordinary_tables_are_not_copied():
    table = pd.DataFrame({"model": ["resnet18", "f1_macro"], "value": [1.0, 2.0]})
    assert display_names.for_figures({"runs": table})["runs"] is table
    assert display_names.for_markdown(table) is table


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("f1_macro on c_d_e", "f1_macro on c_d_e"),
        ("_x_ and __y__", r"\_x\_ and \_\_y\_\_"),
        ("x*y*", r"x\*y\*"),
        ("`a` <b> &lt; ~c~ $d$", r"\`a\` \<b> \&lt; \~c\~ \$d\$"),
        ("a\\b", r"a\\\\b".replace("\\\\\\\\", "\\\\")),
        ("[text](target) [0.1, 0.2]", r"[text]\(target) [0.1, 0.2]"),
        ("p < 0.001, <0.1 and </b><!--", r"p < 0.001, <0.1 and \</b>\<!--"),
        ("a\nb", "a↵b"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text, escaped):
    assert display_names.markdown(text) == escaped
    assert display_names.plain(escaped) == display_names.one_line(text)


def test_columns_of_tables_remain_aligned_without_the_escapes():
    cells = [["model", "n"], ["-" * 6, "-"], [display_names.markdown("a|b*"), "3"], ["plain", "3"]]
    table = "\n".join(f"| {name:6} | {n} |" for name, n in cells)
    lines = display_names.plain(table).split("\n")
    assert lines[2] == "| a|b*   | 3 |"
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len({re.split(r" \| ", line)[-1] for line in lines[2:]}) == 1


def test_a_candidate_whose_import_names_no_method_is_named_by_its_model():
    assert display_names.candidate("resnet18", "full") == "resnet18 (full)"
    assert display_names.candidate("resnet18", "fine-tuned") == "resnet18"
    assert display_names.candidate("resnet18", "fine-tuned shots=5") == "resnet18 (fine-tuned shots=5)"
