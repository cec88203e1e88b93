"""RecTools' values per query on a small made-up run, stored by `python -m benchmarks.metrics_agreement --store`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluators import Queries, evaluate, resolve
from evaluators.arrays import Csr
from evaluators.metrics import Categories, Facts, Popularity

STORED: dict[str, Any] = json.loads(Path(__file__).with_name("rectools.json").read_text())
GIVEN = {name: np.array(value) for name, value in STORED["given"].items()}


def known() -> Facts:
    pairs = np.unique(np.stack([GIVEN["user"], GIVEN["item"]]), axis=1)
    items = int(GIVEN["items"])
    popularity = Popularity(
        np.bincount(GIVEN["item"], minlength=items),
        np.bincount(pairs[1], minlength=items),
        len(set(pairs[0])),
    )
    lists = Csr(GIVEN["category_offsets"], GIVEN["category_numbers"])
    return Facts(popularity=lambda: popularity, categories=lambda: Categories(lists, 5))


@pytest.mark.parametrize("name", STORED["values"])
def test_values_are_those_of_rectools(name: str) -> None:
    lists, offsets = GIVEN["lists"], GIVEN["offsets"]
    count = len(lists)
    scores = -np.argsort(lists, axis=1).astype(np.float64)
    zero = np.zeros(count, np.int64)
    queries = Queries(
        np.arange(count), np.ones(count), zero, zero + 1, offsets, GIVEN["relevant"].astype(np.int32)
    )
    found = evaluate([(slice(0, count), scores)], queries, resolve([name]), facts=known())
    theirs = np.array(STORED["values"][name])
    mine = found.values.get(name, np.array([found.means()[name]]))
    assert mine == pytest.approx(theirs, abs=1e-9)
    assert np.ptp(theirs) > 0 or name in {"coverage@5", "user_coverage@5"}
