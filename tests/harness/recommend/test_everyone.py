"""Everybody's lists: those of one at a time, whole or not at all, taken up where they were killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.data import Store, prepare
from harness.recommend.everyone import SCHEMA, Parts, recommend_to_everyone
from harness.registry.registry import Registry
from harness.serving.package import Package
from harness.settings import RunSettings, load
from tests.harness.conftest import Command

AT = "1602000000"


def lists(path: Path) -> dict[str, list[str]]:
    """Each user's items by rank."""
    frame = pq.read_table(path).to_pandas().sort_values(["user_id", "rank"])
    return {user: rows.item_id.tolist() for user, rows in frame.groupby("user_id")}


@pytest.fixture
def settings(config: Path, shop: Registry) -> RunSettings:
    return load(config)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.recommend.everyone.USERS", 13)


def dies_after(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writing be interrupted in the middle of the next part."""
    write, written = pq.write_table, []

    def stop(table: Any, path: Path) -> None:
        write(table, path)
        written.append(path)
        if len(written) > parts:
            raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", stop)


def test_a_row_is_an_item_of_a_list(
    lethe: Command, shop: Registry, config: Path, package: Package, store: Store
) -> None:
    said = lethe(
        "recommend",
        str(config),
        "--all",
        "--out",
        "recs.parquet",
        "--at",
        AT,
        "--k",
        "4",
        "--model",
        "2",
        "--json",
    )
    assert said.code == 0
    assert said.json["model"] == {"name": "closed", "version": 2}
    assert (said.json["users"], said.json["rows"]) == (60, 240)
    table = pq.read_table("recs.parquet")
    assert table.schema.equals(SCHEMA)
    frame = table.to_pandas()
    assert set(frame["at"]) == {float(AT)}
    users = [str(user) for user in store.users]
    columns, scores = package.top(package.histories_of(users, [float(AT)] * len(users)), 4)
    for number, user in enumerate(users):
        mine = frame[frame.user_id == user]
        assert mine["rank"].tolist() == [1, 2, 3, 4]
        assert mine.item_id.tolist() == [package.items[column] for column in columns[number]]
        np.testing.assert_allclose(mine.score, scores[number], rtol=1e-12)
    one = lethe(
        "recommend", str(config), "--user", users[9], "--at", AT, "--k", "4", "--model", "2", "--json"
    )
    assert [entry["item"] for entry in one.json["items"]] == lists(Path("recs.parquet"))[users[9]]


def test_it_goes_on_where_it_was_killed(
    settings: RunSettings, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment that it was begun for; what another list length needs is made anew."""
    whole = recommend_to_everyone(settings, Path("whole.parquet"), AT, 3, "2")
    assert whole["parts"] == {"all": 5, "found": 0}
    with monkeypatch.context() as patch:
        dies_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            recommend_to_everyone(settings, Path("recs.parquet"), AT, 3, "2")
    assert not Path("recs.parquet").exists()
    again = recommend_to_everyone(settings, Path("recs.parquet"), AT, 3, "2")
    assert again["parts"] == {"all": 5, "found": 2}
    assert pq.read_table("recs.parquet").equals(pq.read_table("whole.parquet"))
    assert [path.name for path in Path().glob("*recs*")] == ["recs.parquet"]
    assert [path.name for path in Path().glob(".*recs*")] == []
    with monkeypatch.context() as patch:
        dies_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            recommend_to_everyone(settings, Path("recs.parquet"), AT, 3, "2")
    assert pq.read_table("recs.parquet").equals(pq.read_table("whole.parquet"))  # what was there stays
    assert recommend_to_everyone(settings, Path("recs.parquet"), AT, 4, "2")["parts"]["found"] == 0


def test_now_is_when_it_was_begun(
    settings: RunSettings, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(settings.data, lambda message: None)  # which writes Parquet too
    with monkeypatch.context() as patch:
        dies_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            recommend_to_everyone(settings, Path("recs.parquet"), None, 3, "2")
    (part,) = Path().glob(".recs.parquet.parts/part-*.parquet")
    begun = set(pq.read_table(part).column("at").to_pylist())
    assert recommend_to_everyone(settings, Path("recs.parquet"), None, 3, "2")["parts"]["found"] == 1
    assert set(pq.read_table("recs.parquet").column("at").to_pylist()) == begun
    recommend_to_everyone(settings, Path("recs.parquet"), None, 3, "2")
    assert begun.isdisjoint(pq.read_table("recs.parquet").column("at").to_pylist())


def test_a_folder_that_is_not_there(lethe: Command, config: Path, shop: Registry) -> None:
    said = lethe("recommend", str(config), "--all", "--out", "nowhere/recs.parquet", "--json")
    assert (said.code, said.out) == (2, "")
    assert "`--out` must be a file in a folder that can be written, but got nowhere/recs.parquet" in said.last
    out = ["--out", "recs.parquet", "--model", "2"]
    said = lethe("recommend", str(config), "--all", *out, "--set", "work=events.csv", "--json")
    assert (said.code, said.out) == (2, "")
    assert "`work` must be a directory that can be written, but `" in said.last


@pytest.mark.slow
def test_workers_write_the_same(
    settings: RunSettings, small_parts: None, ray_session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = recommend_to_everyone(settings, Path("alone.parquet"), AT, 3, "2")
    spread = settings.model_copy(update={"train": settings.train.model_copy(update={"workers": 2})})
    written: list[int] = []
    monkeypatch.setattr(Parts, "write", lambda parts, part: written.append(part))  # in this process
    together = recommend_to_everyone(spread, Path("together.parquet"), AT, 3, "2")
    assert not written
    assert together["rows"] == alone["rows"]
    assert lists(Path("together.parquet")) == lists(Path("alone.parquet"))
