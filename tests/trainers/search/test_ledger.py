"""What is finished is found, and nothing that is half written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from tests.trainers.search.searching import MODEL
from trainers.model import ModelSettings
from trainers.search.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger", "here")


def test_the_ledger_finds_what_was_entered(ledger: Ledger) -> None:
    values = np.array([0.1, 0.25, 1 / 3])
    assert ledger.find(MODEL) is None
    ledger.enter(MODEL, values, 1.5)
    entry = ledger.find(MODEL)
    assert entry is not None
    assert entry.value == values.mean()
    assert entry.file is not None
    assert np.array_equal(np.load(entry.file), values)
    assert sorted(file.suffix for file in ledger.folder.iterdir()) == [".json", ".npy"]
    assert ledger.find(MODEL.without_forgetting()) == entry  # the same content


def test_the_ledger_keeps_contents_and_objectives_apart(ledger: Ledger) -> None:
    ledger.enter(MODEL, np.ones(3), 1.0)
    other = ModelSettings.model_validate({"terms": [{"kind": "own"}, {"kind": "linear", "l2": 10.5}]})
    assert ledger.find(other) is None
    assert Ledger(ledger.folder, "elsewhere").find(MODEL) is None


@pytest.mark.parametrize("text", ["", '{"value": 0.', "{}", "[]", '{"value": null}'])
def test_an_entry_that_cannot_be_read_is_none(ledger: Ledger, text: str) -> None:
    ledger.enter(MODEL, np.ones(3), 1.0)
    ledger.file(MODEL).write_text(text)
    assert ledger.find(MODEL) is None
    ledger.enter(MODEL, np.ones(3), 1.0)
    assert ledger.find(MODEL) is not None


def test_an_entry_without_its_values_is_none(ledger: Ledger) -> None:
    ledger.enter(MODEL, np.ones(3), 1.0)
    values = ledger.file(MODEL).with_suffix(".npy")
    values.write_bytes(values.read_bytes()[:40])
    assert ledger.find(MODEL) is None
    values.unlink()
    assert ledger.find(MODEL) is None


def test_a_stopped_trial_serves_where_it_would_stop_no_later(ledger: Ledger) -> None:
    ledger.enter(MODEL, None, 1.0, readings=[(1, 0.5), (3, 0.4)])
    for cutoffs in ([(3, 0.45)], [(1, 0.6)], [(1, 0.6), (3, 0.45)]):
        entry = ledger.find(MODEL, cutoffs)
        assert entry is not None
        assert entry.value is None
    assert ledger.find(MODEL) is None
    assert ledger.find(MODEL, [(1, 0.5), (3, 0.4)]) is None  # now it would go on: it has to run again
    whole = np.array([0.7])
    ledger.enter(MODEL, whole, 1.0, readings=[(1, 0.5), (3, 0.4), (9, 0.6)])
    for cutoffs in ([], [(3, 0.45)], [(1, 0.5), (3, 0.4)]):
        entry = ledger.find(MODEL, cutoffs)
        assert entry is not None
        assert entry.value == 0.7
        assert entry.stop(cutoffs) == ((3, 0.4) if cutoffs == [(3, 0.45)] else None)
    ledger.enter(MODEL, None, 1.0, readings=[(1, 0.5)])  # by another trial of the same content
    entry = ledger.find(MODEL)
    assert entry is not None
    assert entry.value == 0.7


@pytest.mark.parametrize("at", [0, 1], ids=["values", "entry"])
def test_a_full_disk_leaves_nothing_half(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    ledger.enter(MODEL.without_forgetting(), np.ones(2), 1.0)
    other = ModelSettings.model_validate({"terms": [{"kind": "own", "weight": 3.0}]})
    genuine, calls = os.fsync, [0]

    def full(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] > at:
            raise OSError(errno.ENOSPC, "No space left on device")
        genuine(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            ledger.enter(other, np.ones(2), 1.0)
    assert ledger.find(other) is None
    assert ledger.find(MODEL) is not None
    assert not list(ledger.folder.glob(".*"))
    ledger.enter(other, np.ones(2), 1.0)
    assert ledger.find(other) is not None
