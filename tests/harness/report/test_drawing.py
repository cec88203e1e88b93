"""What a point of a figure says, and that it says it where the point is."""

from __future__ import annotations

import re

import pytest

from harness.report import plots
from harness.report.drawing import Drawing
from harness.report.svg import picture


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_spot_lies_where_matplotlib_drew_its_point(scale: str) -> None:
    figure, (ax,) = plots.canvas()
    ax.set_xscale(scale)
    points = [(1.0, 0.2), (10.0, 0.4), (30.0, 0.9)]
    for number, (x, y) in enumerate(points):
        (line,) = ax.plot([x], [y], "s", markersize=4)
        line.set_gid(f"point-{number}")
        figure.tell(ax, x, y, f"{x} days: {y}", f"point-{number}")
    plots.label(ax, "age", "what is left")
    seen = picture(figure, "name", "x")
    assert [spot.line for spot in seen.spots] == ["name-point-0", "name-point-1", "name-point-2"]
    for spot in seen.spots:
        _, _, drawn = seen.svg.partition(f'id="{spot.line}"')
        place = re.search(r'<use[^>]* x="([\d.]+)" y="([\d.]+)"', drawn)
        assert place
        assert [spot.x, spot.y] == pytest.approx([float(place[1]), float(place[2])], abs=0.11)


def test_a_dot_says_its_interval_and_a_half_life_its_unit() -> None:
    dots = plots.dots([plots.Dot("none", 0.0123, 0.01, 0.015)], "gain", zero=True)
    assert [mark.text for mark in dots.marks] == ["none: +0.0123 [0.0100, 0.0150]"]
    lives = plots.half_lives([plots.Dot("toys", 31.2, 24.0, 40.0)], "days")
    assert [mark.text for mark in lives.marks] == ["toys: 31 days [24, 40]"]


def test_a_bar_says_its_own_share() -> None:
    figure = plots.bars(["tau", "l2"], [0.7, 0.3], "importance")
    assert [mark.text for mark in figure.marks] == [f"tau: 70.0{chr(160)}%", f"l2: 30.0{chr(160)}%"]


def test_a_curve_says_what_is_left_at_some_ages() -> None:
    figure, (ax,) = plots.canvas()
    plots.told_curve(figure, ax, [(float(age), 2.0**-age) for age in range(100)], "days")
    assert figure.marks[0].text == f"after 1 day 50.0{chr(160)}% is left"
    assert plots.SPOTS <= len(figure.marks) < 2 * plots.SPOTS


def test_a_figure_without_marks_has_no_spots() -> None:
    figure = Drawing(figsize=(2, 2))
    figure.subplots()
    assert picture(figure, "n", "x").spots == []
