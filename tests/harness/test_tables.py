"""The terminal shows what is in the data as it is, though rich would read markup in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import tables
from harness.doctor.tables import show_checks
from harness.progress import bar, say
from harness.recommend.tables import show_recommendation
from harness.registry.tables import show_decision, show_models, show_version

STRANGE = ["Lamp [/b]", "mug [red]", "ray[train,tune]>=2.60", "car :car:"]


def recommended(text: str) -> dict[str, Any]:
    event = {"item": text, "title": "", "age_days": 1.0, "left": {text: 0.5}, "adds": {text: 1.0}}
    explained = {"terms": {text: 1.0}, "events": [event] * 2, "rest": {text: 0.0}}
    entry = {"item": text, "title": text, "score": 1.0, **explained}
    return {"model": {"name": text, "version": 1}, "user": text, "at": "", "items": [entry]}


def listed(text: str) -> dict[str, Any]:
    tags = {"metrics": text, "family": text}
    versions = [{"version": 1, "aliases": [text], "tags": tags, "live_since": "2020"}]
    return {"models": [{"name": text, "versions": versions, "last_refused": None}]}


SHOWN: dict[str, tuple[Callable[[dict[str, Any]], None], Callable[[str], dict[str, Any]], int]] = {
    "pairs": (tables.pairs, lambda text: {text: text}, 2),
    "recommendation": (show_recommendation, recommended, 10),
    "checks": (
        show_checks,
        lambda text: {"checks": [{"check": text, "well": False, "found": text, "mend": text}]},
        3,
    ),
    "models": (show_models, listed, 5),
    "decision": (
        show_decision,
        lambda text: {"name": text, "version": 1, "promoted": True, "reasons": [text]},
        2,
    ),
    "version": (
        show_version,
        lambda text: {
            "name": text,
            "version": 1,
            "aliases": [text],
            "tags": {text: text},
            "answers": {text: text},
            "description": "",
            "decision": {"promoted": False, "reasons": [text]},
        },
        7,
    ),
}
"""Name → how it is shown, a result that holds a text wherever data may, and how often."""


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("what", SHOWN)
def test_a_table_shows_texts_as_they_are(
    what: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables.out, "width", 300, raising=False)
    show, made, often = SHOWN[what]
    show(made(text))
    assert capsys.readouterr().out.count(text) == often


@pytest.mark.parametrize("text", STRANGE)
def test_progress_shows_texts_as_they_are(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    with bar(text) as line:
        line.update(note=text)
    say(text)
    assert capfd.readouterr().err.count(text) == 3
