"""What is finished is found, and nothing that is half written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.trainers.searching import MODEL
from trainers.ledger import Ledger
from trainers.model import ModelSettings


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
