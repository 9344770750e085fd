"""The navigation of the site (``nav`` in mkdocs.yml) has every page once."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any


def entries(nav: Any) -> Iterator[str]:
    """Yield the paths of the pages in ``nav``."""
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from entries(entry)


def problems(nav: Any, pages: Iterable[str]) -> list[str]:
    """Return a sentence for each page that is missing in ``nav``, listed twice, or does not exist.

    pages: paths on the site. Files of the repository that pages link to need no entry.
    """
    listed, pages = Counter(entries(nav)), set(pages)
    own = {page for page in pages if not page.startswith("files/")}
    return [
        *(
            f"{page} is not in `nav` of mkdocs.yml; add it below the kind of page that it is"
            for page in sorted(own - set(listed))
        ),
        *(f"{page} is in `nav` of mkdocs.yml, but there is no such page" for page in sorted(set(listed) - pages)),
        *(f"{page} is {count} times in `nav` of mkdocs.yml" for page, count in listed.items() if count > 1),
    ]
