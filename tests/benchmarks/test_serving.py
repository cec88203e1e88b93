"""The serving benchmark measures what it says, on a small log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving.measure import before, fed, moments, simulated
from benchmarks.serving.page import page
from harness.data import DataSettings, prepare
from harness.serving.known import KnownUsers
from harness.serving.package import Package
from tests.harness.conftest import packaged
from trainers.log import PackedLog

LOG = PackedLog(
    np.array([0, 4, 7]),
    np.array([0, 1, 2, 0, 1, 2, 1], np.int32),
    np.array([1.0, 5.0, 5.0, 9.0, 2.0, 5.0, 7.0]),
    np.ones(7, np.float32),
    4,
)


@pytest.fixture(scope="module")
def package(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("store")
    store = prepare(
        DataSettings(events=str(small_log), repeats=True, store=str(folder)), lambda message: None
    )
    curve = {"family": "power", "tau": 7.0, "exponent": 0.5}
    return packaged(store, [{"kind": "own", "forgetting": curve}, {"kind": "trend", "weight": 0.1}])


def test_moments_come_in_the_order_of_time_and_whole() -> None:
    assert [part.tolist() for part in moments(LOG, 5.0, 9)] == [[1, 2], [5], [6], [3]]
    assert [part.tolist() for part in moments(LOG, 5.0, 2)] == [[1, 2], [5]]


def test_what_came_before() -> None:
    users = before(KnownUsers(["a", "b"], LOG), 5.0)
    assert users.log.offsets.tolist() == [0, 1, 2]
    assert users.log.times.tolist() == [1.0, 2.0]


def test_the_live_lists_are_those_of_the_model(package: Package, tmp_path: Path) -> None:
    assert package.known is not None
    cut = float(np.quantile(package.known.log.times, 0.9))
    live, found, _ = fed(package, cut, 30, tmp_path / "live")
    asked = [each for of_user in found.values() for each in of_user]
    assert len(asked) == 30
    assert all(each.alike == 1.0 and each.off <= each.bound + 1e-5 for each in asked)
    assert all(min(each.update, each.recommend, each.replay, each.exact) > 0 for each in asked)
    text = page(live, asked, found, np.array([1024]), "Made.")
    assert "all within: yes" in text
    assert "100.00% of the items are the same" in text


def test_simulated_users_have_the_lengths(package: Package) -> None:
    users, cut = simulated(replace(package, items=package.items * 10))
    assert np.diff(users.log.offsets).tolist() == [120, 1020, 10_020, 100_020]
    assert [len(part) for part in moments(users.log, cut, 999)] == [1] * 80
