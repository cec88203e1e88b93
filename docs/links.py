"""Looks at the links of built pages: `python docs/links.py FOLDER`.

Each must lead to a file and, where it names one, to an anchor in it. Links to elsewhere are listed in
`external-links.txt` and not fetched; a page that would load something from elsewhere is an error.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The anchors of a page, and what it links to and loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and LOADED[tag] in given:
            self.loaded.append(given[LOADED[tag]])


page = cache(Page)


def broken(file: Path, link: str) -> str | None:
    """What is wrong with a link of a page within the folder, if anything is."""
    parts = urlsplit(link)
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.is_file():
        return f"{file}: {link} leads to no file"
    if target.suffix == ".html" and unquote(parts.fragment) not in page(target).anchors:
        return f"{file}: {link} leads to no anchor"
    return None


def main(folder: Path) -> int:
    found = (file.resolve() for file in folder.rglob("*.html"))
    files = sorted(file for file in found if "_static" not in file.parts)  # a theme keeps templates there
    external: set[str] = set()
    wrong: list[str] = []
    for file in files:
        for link in dict.fromkeys(page(file).links + page(file).loaded):
            elsewhere = bool(urlsplit(link).scheme or urlsplit(link).netloc)
            if link.startswith("data:"):
                continue
            if elsewhere and link in page(file).loaded:
                wrong.append(f"{file}: {link} is loaded from elsewhere")
            elif elsewhere:
                external.add(link)
            elif problem := broken(file, link):
                wrong.append(problem)
    (folder / "external-links.txt").write_text("".join(f"{link}\n" for link in sorted(external)))
    print(f"{len(files)} pages, {len(external)} links to elsewhere, {len(wrong)} broken")
    print("\n".join(wrong))
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
