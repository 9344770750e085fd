"""Pages of the site, made from files of the repository.

The pages in ``docs/`` link to each other and to files of the repository by relative paths, so that they can be read on
a code host. The site has the same pages; a linked file of the repository, such as a profile, becomes a page of its own
below ``files/``.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

#: Pages outside of docs/ and their paths on the site.
FRONT_PAGES = {
    "README.md": "index.md",
    "README.zh.md": "index.zh.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LANGUAGES = {".py": "python", ".smk": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".cff": "yaml"}
_FENCE = re.compile(r"^ *(```+|~~~+)")
_CODE_SPAN = re.compile(r"(`+)(?:(?!\1).)+?\1")
_LINK = re.compile(r"\]\(([^()\s]+)((?: +\"[^\"]*\")?)\)")


class BrokenPages(Exception):
    """Problems of the pages, one line each."""


def site_pages(root: Path) -> dict[str, str]:
    """Return all pages of the site that the repository has: {path on the site: Markdown}.

    root: folder of the repository. Raises BrokenPages, which names page and line of each link to a missing file.
    """
    sources = page_paths(root)
    pages, problems = {}, []
    queue = list(sources)
    while queue:
        source = queue.pop()
        text = (root / source).read_text(encoding="utf-8")
        if source in sources or source.endswith(".md"):
            body, linked, broken = relinked(text, source, root, sources)
            queue += [path for path in linked if site_path(path, sources) not in pages and path not in queue]
            problems += broken
        else:
            body = file_page(source, text)
        pages[site_path(source, sources)] = body
    if problems:
        raise BrokenPages("\n".join(sorted(problems)))
    return pages


def page_paths(root: Path) -> dict[str, str]:
    """Return the pages that are written by hand: {path in the repository: path on the site}."""
    docs = sorted(path.relative_to(root).as_posix() for path in (root / "docs").rglob("*.md"))
    front = {source: target for source, target in FRONT_PAGES.items() if (root / source).is_file()}
    return front | {path: path.removeprefix("docs/") for path in docs}


def site_path(path: str, sources: dict[str, str]) -> str:
    """Return the path on the site of a file of the repository: a page, a picture of docs/, or any other file."""
    if path in sources:
        return sources[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path.removesuffix('.md')}.md"


def relinked(text: str, source: str, root: Path, sources: dict[str, str]) -> tuple[str, list[str], list[str]]:
    """Return a page with links for the site, the files that it links to and that become pages, and broken links."""
    here = site_path(source, sources)
    linked: list[str] = []
    broken: list[str] = []

    def link(match: re.Match, line: int) -> str:
        address, title = match.groups()
        path, hash_sign, anchor = address.partition("#")
        if re.match(r"[a-z]+:", address) or not path:
            return match[0]
        target = os.path.normpath(PurePosixPath(source).parent / path).replace(os.sep, "/")
        if not (root / target).is_file():
            broken.append(f"{source}, line {line}: there is no file {target}")
            return match[0]
        if target not in sources and not is_picture(target):
            linked.append(target)
        address = os.path.relpath(site_path(target, sources), PurePosixPath(here).parent).replace(os.sep, "/")
        return f"]({address}{hash_sign}{anchor}{title})"

    lines = [
        line if is_code else outside_code_spans(line, lambda match, number=number: link(match, number))
        for number, (line, is_code) in enumerate(lines_of(text), 1)
    ]
    return "\n".join(lines) + "\n", linked, broken


def is_picture(path: str) -> bool:
    """Return True for a file that pages show; it is copied with its folder."""
    return path.endswith((".png", ".svg"))


def lines_of(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (line, True within a block of code) for the lines of a page."""
    fence = ""
    for line in text.splitlines():
        match = _FENCE.match(line)
        if match and not fence:
            fence = match[1]
            yield line, True
        elif match and match[1] == fence:
            fence = ""
            yield line, True
        else:
            yield line, bool(fence)


def outside_code_spans(line: str, link: Callable[[re.Match], str]) -> str:
    """Return a line whose links are replaced by ``link(match)``, except for those within code."""
    parts, start = [], 0
    for span in _CODE_SPAN.finditer(line):
        parts += [line[start : span.start()], span[0]]
        start = span.end()
    parts.append(line[start:])
    # Code within the text of a link is no reason to leave its address alone, so that spans are put aside for a moment.
    marked = "".join(part if at % 2 == 0 else f"\0{at}\0" for at, part in enumerate(parts))
    replaced = _LINK.sub(link, marked)
    return re.sub(r"\0(\d+)\0", lambda match: parts[int(match[1])], replaced)


def file_page(path: str, text: str) -> str:
    """Return a page that shows a file of the repository."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`{3,}", text)), default=2))
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n"
