"""Checks of the finished site: every link leads somewhere, and nothing is loaded from another server."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes by which a browser loads something without being asked.
LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}
#: Relations of <link> that load nothing.
NOT_LOADED = {"canonical", "next", "prev", "alternate"}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and "href" in values:
            (self.links if values.get("rel") in NOT_LOADED else self.loaded).append(values["href"])
        self.loaded += [values[name] for element, name in LOADED if element == tag and name in values]


def problems(site: Path) -> Iterator[str]:
    """Yield a sentence for each link or file that is missing, and each thing that is loaded from elsewhere."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        if name.as_posix() == "404.html":  # Its addresses are absolute, because it is shown at any address.
            continue
        for address in page.loaded:
            if urlsplit(address).netloc or urlsplit(address).scheme not in ("", "data"):
                yield f"{name} loads {address} from another server"
        for address in page.links + page.loaded:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{name} links to {address}, which does not exist"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name} links to {address}, which has no such anchor"
