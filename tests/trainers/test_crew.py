"""The actors of a search."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.crew import wait_for_crew


def test_the_crew_waits_until_all_are_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = tmp_path / "crew"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (crew / "another").touch()

    monkeypatch.setattr("trainers.crew.time.sleep", sleep)
    wait_for_crew(crew, 2)
    assert len(slept) == 3
    wait_for_crew(crew, 2)  # one that comes later finds them up
    assert len(slept) == 3


def test_the_crew_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.crew.CREW_PATIENCE", 0.1)
    wait_for_crew(tmp_path / "crew", 5)
    assert len(list((tmp_path / "crew").iterdir())) == 1
