"""Pages of the documentation site: links between them, the navigation, and the generated reference."""

import pytest
import yaml
from support import ROOT

from site_builder import commands, config_keys, html_check, navigation, plugin_pages, schema_words, staging
from variability import registry
from variability.config import schema


@pytest.fixture
def repository(tmp_path):
    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_md", ".md").replace("_yaml", ".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_links_lead_to_the_same_pages_on_the_site(repository):
    root = repository(
        README_md="[a](docs/deep/a.md#x) and [`code`](docs/b.md)\n",
        docs__deep__a_md="[home](../../README.md) [b](../b.md)\n",
        docs__b_md="[a](deep/a.md) [here](#y) [away](https://example.org/a.md)\n",
    )
    assert staging.site_pages(root) == {
        "index.md": "[a](deep/a.md#x) and [`code`](b.md)\n",
        "deep/a.md": "[home](../index.md) [b](../b.md)\n",
        "b.md": "[a](deep/a.md) [here](#y) [away](https://example.org/a.md)\n",
    }


def test_a_linked_file_of_the_repository_is_a_page_of_the_site(repository):
    root = repository(
        docs__a_md="[config](../config.yaml) [more](../notes/more.md#part)\n",
        config_yaml="study: ```\n",
        notes__more_md="[config](../config.yaml)\n",
    )
    pages = staging.site_pages(root)
    assert pages["a.md"] == "[config](files/config.yaml.md) [more](files/notes/more.md#part)\n"
    assert pages["files/notes/more.md"] == "[config](../config.yaml.md)\n"
    assert pages["files/config.yaml.md"].endswith("# config.yaml\n\n````yaml\nstudy: ```\n````\n")


def test_code_is_not_a_link(repository):
    text = "`[a](b.md)` and `` [c](d.md) ``\n\n```python\n[e](f.md)\n```\n"
    assert staging.site_pages(repository(docs__a_md=text)) == {"a.md": text}


def test_a_link_to_a_missing_file_names_page_and_line(repository):
    root = repository(docs__a_md="fine\n\n[gone](b.md) [up](../c.yaml)\n")
    with pytest.raises(staging.BrokenPages) as raised:
        staging.site_pages(root)
    assert str(raised.value).splitlines() == [
        "docs/a.md, line 3: there is no file c.yaml",
        "docs/a.md, line 3: there is no file docs/b.md",
    ]


def test_the_navigation_has_every_page_once():
    nav = [{"Home": "index.md"}, {"Guides": [{"A": "a.md"}, {"More": [{"B": "b.md"}]}, {"Again": "a.md"}]}]
    assert [
        line.partition(" is ")[0] for line in navigation.problems(nav, ["index.md", "a.md", "c.md", "files/x.md"])
    ] == [
        "c.md",
        "b.md",
        "a.md",
    ]
    assert navigation.problems([{"Home": "index.md"}], ["index.md", "files/x.md"]) == []


def test_every_page_of_the_docs_is_in_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    pages = {*staging.page_paths(ROOT).values()}
    generated = {path for path in navigation.entries(nav) if path.startswith("reference/")}
    assert navigation.problems(nav, pages | generated) == []


def test_links_of_the_finished_site_are_followed(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="sub/a.html#right">1</a><a href="sub/a.html#wrong">2</a><a href="gone.html">3</a><a href="#top">4</a>'
        '<p id="top"></p><a href="https://example.org">5</a><link rel="icon" href="icon.png">'
        '<script src="https://example.org/x.js"></script><img src="data:image/png;base64,AA==">'
    )
    (tmp_path / "sub/a.html").write_text('<h1 id="right">A</h1><a href="../index.html">up</a>')
    assert list(html_check.problems(tmp_path)) == [
        "index.html loads https://example.org/x.js from another server",
        "index.html links to sub/a.html#wrong, which has no such anchor",
        "index.html links to gone.html, which does not exist",
        "index.html links to icon.png, which does not exist",
    ]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"type": "integer", "minimum": 0, "maximum": 9}, "whole number ≥ 0, ≤ 9"),
        ({"type": ["number", "null"], "exclusiveMinimum": 0}, "number > 0 or null"),
        ({"enum": ["a", 1, True]}, "`a` or `1` or `true`"),
        ({"anyOf": [{"const": False}, {"type": "array", "items": {"$ref": "#/$defs/Part"}}]}, "`false` or list: Part"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "mapping, name: text"),
        ({}, "any value"),
    ],
)
def test_a_schema_in_words(entry, words):
    assert schema_words.words(entry) == words


def test_the_page_of_the_config_has_every_key_with_its_default_and_description():
    page = config_keys.page(schema.config_schema(), ROOT / "workflow/lib/variability/config")
    sections = schema.config_schema()["$defs"]
    assert all(f"\n## {name}\n" in page for name in sections)
    for section in [schema.config_schema(), *sections.values()]:
        assert all(f"\n| `{key}` | " in page for key in section["properties"])
    assert "\n| `lr` | number > 0 | `0.001` | peak learning rate |\n" in page
    assert "At `tasks.NAME.split`. Examples that train, validate and test." in page


@pytest.mark.parametrize("family", ["claims", "plots"])
def test_the_page_of_a_family_has_every_plug_in(family):
    page = plugin_pages.long_page(family, {}, {})
    assert all(f"\n## {name}\n" in page for name in registry.names(family))


def test_a_section_about_an_analysis():
    text = "\n".join(plugin_pages.section("analyses", "spread", ["mean", "sd"], "../statistics/spread.md#spread"))
    assert text.startswith("Centre and spread of every cell over its completed runs.")
    assert "**Columns:** `mean`, `sd`." in text and "](../statistics/spread.md#spread)" in text
    assert "| `level` | number > 0, &lt; 1 | `0.95` | confidence level of the intervals |" in text


def test_every_analysis_is_explained():
    explained = plugin_pages.explanations(ROOT / "docs/statistics")
    assert set(registry.names("analyses")) <= explained.keys()


def test_the_page_of_commands_has_all_targets():
    page = commands.page(ROOT)
    for name in ("make study", "make docs", "downloads", "runs", "tables", "figures", "claims", "summary", "all"):
        assert f"\n| `{name}" in page, name
    assert (
        "| `variability.compare` | " in page
        and "by a method, for a chunk of seeds. | `workflow/rules/finetune.smk` |" in page
    )
    assert "| `figures` | all figures, `plot/*` |" in page
    assert not [line for line in page.splitlines() if "|  |" in line]


def test_every_key_and_option_has_a_description():
    sections = [schema.config_schema(), *schema.config_schema()["$defs"].values()]
    for family in registry.FAMILIES:
        sections += [
            {"properties": getattr(registry.find(family, name), "OPTIONS", {})} for name in registry.names(family)
        ]
    keys = [(key, entry) for section in sections for key, entry in section["properties"].items()]
    assert len(keys) > 200
    assert [key for key, entry in keys if "$ref" not in entry and not entry.get("description")] == []
