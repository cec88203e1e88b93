"""The figures: which there are, and that the same numbers make the same picture."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from harness.report import figures
from harness.report.drawing import Drawing
from harness.report.plots import Dot, dots, plain
from harness.report.svg import inline, picture

from .sample import summary

NAMES = [
    *(
        "data_timeline",
        "data_gaps",
        "data_baskets",
        "curve_0_own",
        "curve_1_linear",
        "curve_2_mlp",
        "curve_3_transformer",
        "own_transformer_days",
        "own_transformer_intervals",
        "own_transformer_hours",
        "families",
    ),
    *("fading_curve", "fading_families", "fading_category", "fading_event_type", "fading_history"),
    *("search_history", "search_importance", "search_effects", "search_parallel", "search_sure"),
    *("training_0_mlp_pretrain", "training_1_mlp_finetune", "models", "comparisons"),
    *("segment_recency", "segment_history", "segment_novelty"),
    *("calibration", "people_0", "people_1", "ab"),
]


@pytest.fixture(scope="module")
def drawn() -> dict[str, Drawing]:
    return figures(summary())


def test_every_part_has_its_figure(drawn: dict[str, Drawing]) -> None:
    assert list(drawn) == NAMES


def test_figures_are_the_same_every_time_and_touch_nothing_global(drawn: dict[str, Drawing]) -> None:
    before = dict(mpl.rcParams)
    first, second = ({n: picture(f, n, "x") for n, f in made.items()} for made in (drawn, figures(summary())))
    assert first == second
    assert dict(mpl.rcParams) == before


def test_a_figure_can_be_saved_as_png(drawn: dict[str, Drawing]) -> None:
    out = io.BytesIO()
    drawn["models"].savefig(out, format="png")
    assert out.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "key",
    [
        *("data", "search", "terms", "fading", "training", "evaluation", "models", "comparisons"),
        *("calibration", "examples", "ab"),
    ],
)
def test_a_part_that_is_missing_makes_no_figure(key: str) -> None:
    less: dict[str, Any] | None = {} if key < "d" else None
    assert set(figures(summary() | {key: less})) < set(NAMES)


def test_curve_shows_the_half_life_in_words(drawn: dict[str, Drawing]) -> None:
    texts = [t.get_text() for t in drawn["curve_2_mlp"].axes[0].texts]
    assert texts == ["half-life 3.2 moments"]


def test_the_half_life_stands_where_half_of_what_a_new_event_has_is_left() -> None:
    curve = {"half_life": 20.0, "unit": "days", "curve": [[0, 0.4], [10, 0.3], [20, 0.2], [40, 0.1]]}
    (ax,) = figures({"terms": [{"name": "own", "forgetting": curve}]})["curve_0_own"].axes
    [mark] = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert np.asarray(mark.get_xydata()).tolist() == [[20.0, 0.2]]


def test_every_head_has_its_line(drawn: dict[str, Drawing]) -> None:
    (ax,) = drawn["curve_3_transformer"].axes
    lines: list[Any] = [line.get_ydata() for line in ax.get_lines()]
    assert [len(y) for y in lines] == [70, 70]
    assert lines[0][-1] < lines[1][-1]


def test_both_kinds_of_day_share_a_picture() -> None:
    (ax,) = figures(summary())["own_transformer_hours"].axes
    assert len(ax.get_lines()) == 2


def test_differences_of_another_size_have_a_panel_of_their_own() -> None:
    small, large = Dot("a", 0.004, 0.001, 0.007), Dot("b", 0.18, 0.17, 0.20)
    assert len(dots([small, large], "x", zero=True).axes) == 2
    assert len(dots([small, Dot("b", 0.01, 0.0, 0.02)], "x", zero=True).axes) == 1
    assert len(dots([small, large], "x").axes) == 1


def test_control_trials_look_different_and_failures_are_drawn(drawn: dict[str, Drawing]) -> None:
    (ax,) = drawn["search_history"].axes
    shapes = {line.get_label(): line.get_marker() for line in ax.get_lines()}
    assert shapes == {"trial": "o", "control": "^", "best so far": "None", "failed": "x"}
    best: Any = next(line for line in ax.get_lines() if line.get_label() == "best so far").get_ydata()
    assert list(best) == sorted(best)
    assert best[-1] == 0.2914


def test_what_was_stopped_early_is_drawn_where_it_was_and_is_no_failure() -> None:
    told = summary()
    for place, value in ((0, 0.21), (5, 0.17)):
        told["search"]["history"][place] |= {"value": None, "stopped": {"at": 3, "value": value}}
    (ax,) = figures(told)["search_history"].axes
    lines: dict[Any, Any] = {line.get_label(): line for line in ax.get_lines()}
    early = lines["stopped early"]
    assert early.get_fillstyle() == "none"
    assert (list(early.get_xdata()), list(early.get_ydata())) == ([1, 6], [0.21, 0.17])
    assert len(lines["failed"].get_xdata()) == 1


def test_labels_are_plain_text() -> None:
    assert plain("a$b$c") == r"a\$b\$c"
    assert plain("x\n\x00y") == "x  y"
    hostile = summary()
    hostile["search"]["importance"] = {"$\\frac{": 0.5, "<script>alert(1)</script>": 0.4}
    made = str(inline(figures(hostile)["search_importance"], "search_importance", 'quote " here'))
    assert "<script" not in made
    assert "$\\frac{" in made
    assert 'aria-label="quote &#34; here"' in made
