"""The schedule of a population, as picture, table and words."""

from __future__ import annotations

from typing import Any

import pytest

from harness.report import render, schedule, search_figures
from harness.report.drawing import Drawing
from harness.story.tables import show_search

from .sample import summary
from .test_page import Page, undrawn

__all__ = ["undrawn"]  # a fixture

RATE, DROPOUT, CURVE = "recurrent.training.rate", "recurrent.dropout", "recurrent, state 1 (days)"


def step(begin: int, member: str, rate: float, dropout: float, value: float | None) -> dict[str, Any]:
    told = {CURVE: 3.0 + begin, "recurrent, state 2 (moments)": 0.5} if value is not None else {}
    params = {RATE: rate, DROPOUT: dropout}
    return {
        "begin": begin,
        "until": begin + 2,
        "member": member,
        "params": params,
        "value": value,
        "told": told,
    }


SCHEDULE: dict[str, Any] = {
    "trial": "trial-004",
    "steps": [
        step(0, "trial-002", 0.01, 0.3, 0.05),
        step(2, "trial-004", 0.008, 0.3, 0.1),
        step(4, "trial-004", 0.001, 0.2, None),
    ],
    "others": [{"trial": "trial-001", "steps": [{"begin": 0, "params": {RATE: 0.002, DROPOUT: 0.5}}]}],
    "best_epoch": {"recurrent": 5},
    "replayed": {"value": 0.123456, "difference": 0.0, "same": True},
}


def told(**replayed: Any) -> dict[str, Any]:
    story = summary()
    again = SCHEDULE["replayed"] | replayed
    story["search"] |= {"schedule": SCHEDULE | {"replayed": again}, "epochs": 96.0, "stopped": 0}
    return story


def test_a_panel_for_each_setting_and_one_for_the_half_lives() -> None:
    drawn: Drawing = schedule.figures(told())["search_schedule"]
    panels = [ax for ax in drawn.axes if ax.get_visible()]
    assert [ax.get_title("left") for ax in panels] == [
        RATE,
        DROPOUT,
        "half-lives learned, in days",
        "half-lives learned, in moments",
    ]
    other, best = panels[0].get_lines()
    assert list(best.get_xdata()) == [0, 2, 4, 6]  # type: ignore[arg-type]  # matplotlib's
    assert list(best.get_ydata()) == [0.01, 0.008, 0.001, 0.001]  # type: ignore[arg-type]
    assert list(other.get_ydata()) == [0.002, 0.002]  # type: ignore[arg-type]
    assert best.get_linewidth() > other.get_linewidth()
    assert panels[0].get_yscale() == "log"
    assert panels[1].get_yscale() == "linear"
    (curve,) = panels[2].get_lines()
    assert len(panels[3].get_lines()) == 1
    assert (list(curve.get_xdata()), list(curve.get_ydata())) == ([2, 4], [3.0, 5.0])  # type: ignore[arg-type]  # matplotlib's
    said = [mark.text for mark in drawn.marks]
    assert f"{RATE} from epoch 3 on: 0.008" in said
    assert "half-life of recurrent, state 1 after epoch 4: 5 days" in [
        text.replace("\u00a0", " ") for text in said
    ]
    assert schedule.figures(summary()) == {}
    others = search_figures.figures(told())
    assert "search_history" in others
    assert not {"search_effects", "search_parallel"} & set(others)  # what changed on the way has no one value


@pytest.mark.usefixtures("undrawn")
def test_the_page_tells_the_lineage_and_whether_it_replays() -> None:
    text = Page(render(told(), config_text="")).text
    assert "The schedule of the best member" in text
    assert "1 to 2 trial-002 0.01 0.3 0.0500" in text
    assert "5 to 6 trial-004 0.001 0.2" in text
    assert (
        "Trained from the start by this schedule the model has the very same figures: NDCG@10 0.1235." in text
    )
    apart = Page(render(told(same=False, difference=-0.004), config_text="")).text
    assert "has NDCG@10 0.1235, −0.0040 to the search." in apart
    assert "The schedule of the best member" not in Page(render(summary(), config_text="")).text


def test_the_terminal_tells_it_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.tables.out.width", 200, raising=False)
    show_search(told(same=False, difference=0.001)["search"])
    said = capsys.readouterr().out
    assert "half-life of recurrent, state 1 (days)" in said
    assert "1 to 2" in said
    assert "96 epochs with those under `none`" in said
    assert (
        "trained from the start by this schedule: 0.1235, +0.0010 to the search; recurrent at its best after epoch 5"
        in said
    )
    show_search(summary()["search"] | {"stopped": 0, "schedule": None, "epochs": None})
    assert "by this schedule" not in capsys.readouterr().out
    both = {
        **summary()["search"]["families"][0],
        "half_life": 60.0,
        "unit": "days",
        "moments": {"half_life": 2.0},
    }
    search = {**summary()["search"], "families": [both], "stopped": 0, "schedule": None, "epochs": None}
    show_search(search)
    assert "60 days or 2 moments" in capsys.readouterr().out
