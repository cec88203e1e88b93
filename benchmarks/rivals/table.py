"""The figures of `benchmarks/results/rivals-*.json` as a Markdown page: `python -m benchmarks.rivals.table`.

Writes `benchmarks/rivals.md`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parent.parent

PAGE = """# Rivals

Published recommenders that weigh events by time, on the queries that Lethe answers: protocol `successive`, every query
after the cut, the whole catalogue ranked, each query answered from the true history up to it, nothing updated after the
cut. Settings were chosen on validation (`benchmarks/rivals/grids.py` has what was tried; library models: the number of
epochs of those that the machine had time for), and the chosen ones were fitted anew before the test cut. Intervals are
95 %, from resampling users. Films are never recommended again, everything else may be. Ties count against a rival, as
they do against Lethe (the lists of library models come without ties).

Test figures of `movielens-100k` and `online-retail` were seen before the grids had their present extent: steps were
added where validation preferred the end of one, and a step once left out the value that a rival had.

    python -m benchmarks.rivals configs/DATA.yaml --set data.events=PATH   # closed forms; `make rivals` for all
    python -m benchmarks.rivals configs/DATA.yaml --only "SASRec (RecTools)" --epochs 10,20 --length 50 --batch 16
    python -m benchmarks.rivals.table                                      # this page

{table}

## What validation chose

Bold settings were searched, the others are where a rival starts. Of library models each number of epochs tried has its
NDCG@10 on validation; where the last one is the best, more epochs might have served the rival.

{settings}

Sources: TALE, Park, Yoon, Choi & Lee 2025 (WSDM). SLIST, Choi, Kim, Lee, Shim & Lee 2021 (WWW). TIFU-KNN, Hu, He, Gao &
Zhang 2020 (SIGIR). ACT-R, Reiter-Haas et al. 2021 (RecSys) and Tran et al. 2024 (RecSys, PISA): base level, spreading
and partial matching without PISA's transformer. Library models, where the table has them:
RecTools 0.19 (SASRec, BERT4Rec, HSTU with relative time) and RecBole 1.2.1 (GRU4Rec, SASRec), on the CPU.
"""


def markdown(paths: list[Path]) -> str:
    """A row for each rival, a column for each data set: NDCG@10 on test with its interval."""
    books = [json.loads(path.read_text()) for path in paths]
    names = _names(books)
    rows = [["NDCG@10 on test", *(f"`{book['data']}`" for book in books)], ["---"] * (len(books) + 1)]
    rows.append(["queries / users / catalogue", *(_size(book) for book in books)])
    for name in names:
        rows.append([name, *(_cell(book["rivals"].get(name)) for book in books)])
    if any("lethe" in book for book in books):
        rows.append(["Lethe", *(_model(book.get("lethe")) for book in books)])
        for name in names:
            rows.append([f"Lethe − {name}", *(_difference(book["rivals"].get(name)) for book in books)])
    return _table(rows)


def settings(paths: list[Path]) -> str:
    """What validation chose, and the figure it had there; bold is what was searched."""
    books = [json.loads(path.read_text()) for path in paths]
    rows = [["rival", "data", "NDCG@10 on validation", "settings"], ["---"] * 4]
    for name in _names(books):
        for book in books:
            if entry := book["rivals"].get(name):
                searched = _searched(entry)
                text = ", ".join(
                    f"**{key} {value}**" if key in searched else f"{key} {value}"
                    for key, value in entry["settings"].items()
                )
                rows.append([name, f"`{book['data']}`", f"{entry['val']:.4f}", text + _by_epoch(entry)])
    return _table(rows)


def _names(books: list[dict[str, Any]]) -> list[str]:
    return sorted({name for book in books for name in book["rivals"]}, key=lambda name: ("(" in name, name))


def _searched(entry: dict[str, Any]) -> set[str]:
    """The settings that had more than one value on validation."""
    tried = [trial["settings"] for trial in entry.get("grid", [])]
    several = {key for key in entry["settings"] if len({str(settings.get(key)) for settings in tried}) > 1}
    return several | ({"epochs"} if len(entry.get("epochs", {})) > 1 else set())


def _by_epoch(entry: dict[str, Any]) -> str:
    """What each number of epochs gave on validation, and whether the last was the best."""
    tried = entry.get("epochs", {})
    if not tried:
        return ""
    steps = ", ".join(f"{epoch}: {val:.4f}" for epoch, val in tried.items())
    last = max(tried, key=int) == str(entry["settings"]["epochs"])
    return f" ({steps}{'; the last tried' if last else ''})"


def _table(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _size(book: dict[str, Any]) -> str:
    return f"{book['queries']:,} / {book['users']:,} / {book['catalogue']:,}"


def _cell(entry: dict[str, Any] | None) -> str:
    if not entry:
        return ""
    test = entry["test"]
    return f"{test['mean']:.4f} [{test['low']:.4f}, {test['high']:.4f}]"


def _model(entry: dict[str, Any] | None) -> str:
    return f"{_cell(entry)} `{entry['model']}`" if entry else ""


def _difference(entry: dict[str, Any] | None) -> str:
    if not entry or "lethe minus rival" not in entry:
        return ""
    found = entry["lethe minus rival"]
    return f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def main() -> None:
    paths = sorted((BENCHMARKS / "results").glob("rivals-*.json"))
    page = PAGE.format(table=markdown(paths), settings=settings(paths))
    (BENCHMARKS / "rivals.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
