"""Rounds on disk: whole or not at all, known by the schedule up to their end, kept as long as somebody needs them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers.model import ModelSettings
from trainers.search.ledger import Ledger
from trainers.search.objective import Reached
from trainers.search.rounds import Rounds


def model(*changes: dict[str, Any]) -> ModelSettings:
    term = {"kind": "mlp", "training": {"epochs": 9, "changes": list(changes)}}
    return ModelSettings.model_validate({"terms": [term]})


FIRST, SECOND = {"after": 2, "rate": 0.1}, {"after": 4, "rate": 0.2}


@pytest.fixture
def rounds(tmp_path: Path) -> Rounds:
    return Rounds(Ledger(tmp_path / "trials", "here"))


def reached(epochs: int) -> Reached:
    state = {"mlp": {"weights": torch.arange(3.0) * epochs, "curve": {"loss": [0.5]}, "average": None}}
    return Reached(epochs, np.array([0.25, 0.75]), whole=False, state=state, told={"mlp (days)": 7.0})


def test_a_round_is_found_by_whoever_went_the_same_way(rounds: Rounds) -> None:
    assert rounds.find(model(), 2) is None
    rounds.enter(model(), 2, reached(2), 1.0)
    assert rounds.find(model(), 2) == {"value": 0.5, "told": {"mlp (days)": 7.0}}
    assert rounds.find(model(FIRST), 2) == rounds.find(model(), 2)  # what changes later says nothing of it
    assert rounds.find(model(FIRST), 4) is None
    assert rounds.find(model({"after": 1, "rate": 0.1}), 2) is None
    assert Rounds(Ledger(rounds.ledger.folder, "elsewhere")).find(model(), 2) is None


def test_a_training_goes_on_from_the_latest_that_is_whole(rounds: Rounds) -> None:
    assert rounds.start(model(FIRST, SECOND), (2, 4)) is None
    for settings, epochs in ((model(), 2), (model(FIRST), 4)):
        rounds.enter(settings, epochs, reached(epochs), 1.0)

    def begin(*ends: int) -> list[float] | None:
        state = rounds.start(model(FIRST, SECOND), ends)
        return None if state is None else state["mlp"]["weights"].tolist()

    assert begin(2, 4) == [0.0, 4.0, 8.0]
    assert begin(2) == [0.0, 2.0, 4.0]
    assert begin() is None
    last = rounds.file(model(FIRST), 4).with_suffix(".pt")
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2])
    assert begin(2, 4) == [0.0, 2.0, 4.0]
    last.unlink()
    assert begin(2, 4) == [0.0, 2.0, 4.0]


def test_what_nobody_needs_is_forgotten_and_the_values_stay(rounds: Rounds) -> None:
    for settings, epochs in ((model(), 2), (model(FIRST), 4)):
        rounds.enter(settings, epochs, reached(epochs), 1.0)
    rounds.forget(4)
    assert rounds.start(model(FIRST), (2,)) is None
    assert rounds.start(model(FIRST, SECOND), (2, 4)) is not None
    rounds.forget(float("inf"))
    assert rounds.start(model(FIRST, SECOND), (2, 4)) is None
    assert rounds.find(model(FIRST), 4) is not None
    assert rounds.find(model(), 2) is not None


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"value": null, "told": {}}'])
def test_a_value_that_cannot_be_read_is_none(rounds: Rounds, text: str) -> None:
    rounds.enter(model(), 2, reached(2), 1.0)
    rounds.file(model(), 2).write_text(text)
    assert rounds.find(model(), 2) is None


@pytest.mark.parametrize("call", [1, 2])
def test_a_disk_that_is_full_leaves_no_half_round(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """At the state, or at the value."""
    genuine, calls = os.fsync, []

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        genuine(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        rounds.enter(model(), 2, reached(2), 1.0)
    assert rounds.find(model(), 2) is None
    assert not list(rounds.folder.glob("*.part")) + list(rounds.folder.glob(".*.part"))
    monkeypatch.undo()
    rounds.enter(model(), 2, reached(2), 1.0)
    assert rounds.find(model(), 2) is not None
