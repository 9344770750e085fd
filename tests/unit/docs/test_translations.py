"""The Chinese README and tutorial have the code, links, pictures and numbers of the English ones."""

import re

import doc_snippets
import pytest
from support import ROOT

PAIRS = [("README.md", "README.zh.md"), ("docs/tutorial.md", "docs/tutorial.zh.md")]
pages = pytest.mark.parametrize(("english", "chinese"), PAIRS)


def code(page):
    """Return the blocks of a page, without comments and the spaces before them."""
    blocks = doc_snippets.blocks("", "bash", "python", "yaml", paths=[ROOT / page])
    return [(block.language, re.sub(r"(?m)(^| +)#.*$", "", block.text)) for block in blocks]


def prose(page):
    return re.sub(r"(?ms)^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"))


@pages
def test_the_code_is_the_same(english, chinese):
    assert len(code(english)) > 3
    assert code(english) == code(chinese)


@pages
def test_the_files_that_blocks_are_saved_as_are_the_same(english, chinese):
    first, second = (
        [block.text.partition("\n")[0] for block in doc_snippets.blocks("python", "yaml", paths=[ROOT / page])]
        for page in (english, chinese)
    )
    assert [line for line in first if line.startswith("# ")] == [line for line in second if line.startswith("# ")]


@pages
def test_sections_tables_links_and_pictures_are_the_same(english, chinese):
    def outline(page):
        text = prose(page)
        links = {re.sub(r"\.zh\.md\b", ".md", link) for link in re.findall(r"\]\(([^)]+)\)", text)}
        own = {name.rpartition("/")[2] for name in (english, chinese)} | {"tutorial.md"}
        return (
            [len(level) for level in re.findall(r"^(#+) ", text, re.M)],
            len(re.findall(r"^\|", text, re.M)),
            len(re.findall(r"^- ", text, re.M)),
            links - own,
            re.findall(r"!\[[^]]*\]\(([^)]+)\)", text),
        )

    assert outline(english) == outline(chinese)


@pages
def test_the_numbers_are_the_same(english, chinese):
    first, second = ({*re.findall(r"-?\d+\.\d+|\d,\d{3}", prose(page))} for page in (english, chinese))
    assert first and first == second


@pages
def test_bold_text_ends_where_markdown_sees_it(english, chinese):
    """After a punctuation mark, the closing asterisks have to be followed by a space or another mark."""
    for page in (english, chinese):
        bold = re.findall(r"\*\*[^*\n]+\*\*.?", prose(page))
        assert bold and [text for text in bold if re.search(r"[^\w\s]\*\*\w$", text)] == []
