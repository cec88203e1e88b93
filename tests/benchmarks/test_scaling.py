"""Larger shapes, derived from measured constants."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.scaling import (
    CREWS,
    LAUNCH,
    PAGE,
    RESULTS,
    WAYS,
    efficiency,
    model,
    optimiser,
    page,
    predicted,
    rows,
    stops,
    touched,
)
from benchmarks.scaling import all_rows as dense

TABLE = 1_000_000 * 65 * 4


@pytest.mark.parametrize("items", [1, 7, 5000, 250_000])
@pytest.mark.parametrize("draws", [1, 300, 1e6])
def test_touched_items_are_those_of_zipfs_law(items: int, draws: float) -> None:
    share = 1 / np.arange(1, items + 1)
    share /= share.sum()
    expected = (1 - (1 - share) ** draws).sum()
    assert touched(items, draws) == pytest.approx(expected, rel=1e-3)


def test_touched_items_as_they_are_drawn() -> None:
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 2001)
    share /= share.sum()
    seen = [len(np.unique(rng.choice(2000, 500, p=share))) for _ in range(200)]
    assert touched(2000, 500) == pytest.approx(np.mean(seen), rel=0.02)


def test_bytes_by_hand() -> None:
    """A ring sends 2·(N − 1)/N of what it adds up."""
    assert dense(1_000_000, 8) == (1.75 * TABLE, 4 * TABLE)
    assert optimiser(1_000_000, 8) == (2.625 * TABLE, 2.25 * TABLE)
    assert model(1_000_000, 8) == (1.75 * TABLE, 2.5 * TABLE)
    assert dense(1_000_000, 1).sent == optimiser(1_000_000, 1).sent == model(1_000_000, 1).sent == 0
    sparse = rows(1_000_000, 8)
    assert sparse.sent < dense(1_000_000, 8).sent / 10
    assert 3 * TABLE < sparse.kept < 4 * TABLE


@pytest.mark.parametrize("way", WAYS)
def test_a_larger_crew_computes_less_of_its_time(way: str) -> None:
    shares = [efficiency(way, 1_000_000, workers, 1e-4) for workers in (1, *CREWS)]
    assert shares == sorted(shares, reverse=True)
    assert 0.99 < shares[0] <= 1
    longer = efficiency(way, 1_000_000, 64, 1.0)
    assert longer > shares[2]
    assert stops(way, 1_000_000, 1e9) == "4,096"


def test_two_workers_foretold() -> None:
    """Steps of a second, and 0.1 s to tell 4 MB."""
    told = {
        "one": {"path": 10.0},
        "steps": 10,
        "latency": 0.06,
        "parameters": 1_000_000,
        "seconds_a_byte": 1e-8,
    }
    assert predicted(told) == pytest.approx(1 / 0.6)
    assert LAUNCH > 0


def test_the_page_is_what_the_constants_give() -> None:
    workers, catalogue = (
        json.loads((RESULTS / f"{name}.json").read_text()) for name in ("workers", "large_catalogue")
    )
    assert PAGE.read_text() == page(workers, catalogue)
