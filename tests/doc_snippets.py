"""Blocks of code and commands in the documentation, for the tests that check them.

A block that cannot be checked has a comment with the reason before it: <!-- not checked: reason -->.
"""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import ROOT

PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(
        ROOT / name
        for name in ("README.md", "README.zh.md", "CONTRIBUTING.md", "config/README.md", "benchmarks/README.md")
    ),
]
_BLOCK = re.compile(
    r"(?:<!-- not checked: (?P<reason>[^\n]{10,}) -->\n+)?^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
#: Commands that are checked; in running text they are code that begins with one of them.
_COMMAND = re.compile(r"(?:\S+=\S+ )*(?:snakemake|make|python|\.venv/bin/python)(?: |$)")


@dataclass(frozen=True)
class Block:
    """A block of code. page: its file, relative to the repository. line: where it starts."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str, paths: list[Path] | None = None) -> Iterator[Block]:
    """Yield the blocks in these languages; those with a reason not to be checked, too."""
    for path in PAGES if paths is None else paths:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            if match["language"] in languages:
                line = text.count("\n", 0, match.start("indent")) + 1
                page = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
                yield Block(page, line, match["language"], textwrap.dedent(match["text"]), match["reason"])


def commands(paths: list[Path] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Yield (page, words) of each command: in blocks, in running text, and in lines that are indented."""
    for path in PAGES if paths is None else paths:
        if path.is_file():
            page = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
            for line in lines_of_commands(path.read_text(encoding="utf-8")):
                yield from ((page, words) for words in split(line))


def lines_of_commands(text: str) -> Iterator[str]:
    """Yield the lines of a page that are commands, each with its continuations."""
    for match in _BLOCK.finditer(text):
        if match["language"] == "bash" and not match["reason"]:
            yield from re.sub(r"\\\n", " ", match["text"]).splitlines()
    prose = _BLOCK.sub("", text)
    for line in re.findall(r"^    (\S.*)$", prose, re.MULTILINE):
        if _COMMAND.match(line):
            yield line
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose):
        if _COMMAND.match(span):
            yield span.replace("\n", " ")


def split(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line in a shell, without assignments of variables and redirections."""
    lexer = shlex.shlex(line.replace("[", "").replace("]", ""), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;"):
            if words:
                yield words
            words = []
        elif words or not re.match(r"[A-Z_]+=", word):
            words.append(word)
