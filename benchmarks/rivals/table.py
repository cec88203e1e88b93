"""The figures of `benchmarks/results/rivals-*.json` as one Markdown table: `python -m benchmarks.rivals.table`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results"


def markdown(paths: list[Path]) -> str:
    """A row for each rival, a column for each data set: NDCG@10 on test with its interval."""
    books = [json.loads(path.read_text()) for path in paths]
    names = list(dict.fromkeys(name for book in books for name in book["rivals"]))
    rows = [["NDCG@10 on test", *(f"`{book['data']}`" for book in books)], ["---"] * (len(books) + 1)]
    rows.append(["queries / users / catalogue", *(_size(book) for book in books)])
    for name in names:
        rows.append([name, *(_cell(book["rivals"].get(name)) for book in books)])
    if any("lethe" in book for book in books):
        rows.append(["Lethe", *(_cell(book.get("lethe")) for book in books)])
        for name in names:
            rows.append([f"Lethe − {name}", *(_difference(book["rivals"].get(name)) for book in books)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _size(book: dict[str, Any]) -> str:
    return f"{book['queries']:,} / {book['users']:,} / {book['catalogue']:,}"


def _cell(entry: dict[str, Any] | None) -> str:
    if not entry:
        return ""
    test = entry["test"]
    return f"{test['mean']:.4f} [{test['low']:.4f}, {test['high']:.4f}]"


def _difference(entry: dict[str, Any] | None) -> str:
    if not entry or "lethe minus rival" not in entry:
        return ""
    found = entry["lethe minus rival"]
    return f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


if __name__ == "__main__":
    print(markdown([Path(path) for path in sys.argv[1:]] or sorted(RESULTS.glob("rivals-*.json"))))
