"""What workers tell each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.search.crews import crew
from trainers.training.workers import ALONE, Workers


@pytest.mark.parametrize("size", [2, 3, 7])
def test_shares_are_neighbours_of_equal_size_and_all_there_is(size: int) -> None:
    windows = np.random.default_rng(0).permutation(100)[:31]
    shares = [Workers(rank, size).share(windows) for rank in range(size)]
    assert np.array_equal(np.concatenate(shares), np.sort(windows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert np.array_equal(ALONE.share(windows), windows)


def test_each_worker_reads_about_its_own_users() -> None:
    """Of 4,000 windows in batches of 64, four workers: next to none of one's windows are at the other end."""
    rng = np.random.default_rng(1)
    of = [np.concatenate([Workers(rank, 4).share(part) for part in np.split(rng.permutation(4000)[:3968], 62)])
          for rank in range(4)]  # fmt: skip
    for rank, windows in enumerate(of):
        own = (windows >= 1000 * rank - 400) & (windows < 1000 * (rank + 1) + 400)
        assert own.mean() > 0.95


def test_alone_there_is_nothing_to_tell() -> None:
    array = np.array([3.0, 1.0])
    assert ALONE.sum(array) is ALONE.first(array) is array
    assert [each.tolist() for each in ALONE.gather(torch.tensor([4]))] == [[4]]
    assert ALONE.union(torch.tensor([5, 2, 5])).tolist() == [2, 5]


def told(workers: Workers) -> dict[str, Any]:
    mine = torch.arange(workers.rank + 1) * 10
    return {
        "sum": workers.sum(np.array([1.0, workers.rank])).tolist(),
        "first": workers.first(np.array([workers.rank + 5])).tolist(),
        "gather": [each.tolist() for each in workers.gather(torch.tensor([workers.rank]))],
        "union": workers.union(torch.cat((mine, mine))).tolist(),
    }


@pytest.mark.slow
def test_three_workers(tmp_path: Path) -> None:
    expected = {"sum": [3.0, 3.0], "first": [5], "gather": [[0], [1], [2]], "union": [0, 10, 20]}
    assert crew(told, 3, tmp_path / "crew") == [expected] * 3
