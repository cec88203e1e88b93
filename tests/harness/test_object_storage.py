"""Commands over a store in object storage: the same answers, one line for what is wrong, no secret told."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.settings import load
from harness.steps.workshop import Workshop
from tests.harness.conftest import Command
from tests.storage import ENVIRONMENT, Storage
from trainers.storage.place import CACHE


def test_a_model_is_evaluated_as_over_a_local_store(
    closed: Path, lethe: Command, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = lethe("evaluate", "closed.yaml", "--json")
    change = f"data.store={storage.uri(f'{closed.name}/stores')}"
    assert lethe("prepare", "closed.yaml", "--set", change).code == 0
    monkeypatch.setenv(CACHE, str(closed / "another node"))
    there = lethe("evaluate", "closed.yaml", "--json", "--set", change, "--set", "work=elsewhere")
    assert (here.code, there.code) == (0, 0)
    assert there.json["metrics"] == here.json["metrics"]
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in there.err


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (
            "s3://AKIA77:wJalrXU@bucket/stores",
            "must hold no key and no secret, but got 's3://***@bucket/stores'",
        ),
        ("{missing}", "The bucket of a place must exist, but that of `s3://nowhere/stores"),
    ],
)
def test_what_is_wrong_is_one_line(
    store: str, said: str, closed: Path, lethe: Command, storage: Storage
) -> None:
    uri = store.format(missing=storage.uri("stores", bucket="nowhere"))
    found = lethe("prepare", "closed.yaml", "--set", f"data.store={uri}")
    assert found.code == 2
    assert said in found.last
    assert "wJalrXU" not in found.err


def test_a_cache_that_cannot_be_written_is_named(
    closed: Path, lethe: Command, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, "events.csv")
    said = lethe("prepare", "closed.yaml", "--set", f"data.store={storage.uri(f'{closed.name}/stores')}")
    assert said.code == 2
    assert "`LETHE_CACHE` must be a directory that can be written, but `" in said.last


def test_fits_go_through_the_bucket_where_there_are_workers(closed: Path, storage: Storage) -> None:
    changes = [f"data.store={storage.uri(f'{closed.name}/stores')}"]
    alone = Workshop.open(load("closed.yaml", changes))
    crew = Workshop.open(load("closed.yaml", [*changes, "train.workers=2"]))
    assert alone.fitting.through is None
    assert crew.fitting.through == storage.uri(f"{closed.name}/stores/.fits/{crew.key}")
    asked = crew.fitting.request("val", [crew.settings.model])
    assert (asked.log, asked.through) == (crew.store.uri, crew.fitting.through)
    local = Workshop.open(load("closed.yaml", ["train.workers=2"]))
    assert local.fitting.through is None
