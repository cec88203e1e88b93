"""The picture of a search: what stands on which axis, and that nothing is drawn that a trial has not."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.report.search_figures import Trial, figures, finished, medians, scales


def trial(value: float | None, **params: Any) -> dict[str, Any]:
    return {"trial": "t", "value": value, "family": "power", "control": False, "params": params}


def story(*trials: dict[str, Any]) -> dict[str, Any]:
    return {"metric": "ndcg@10", "search": {"history": list(trials), "importance": {"b": 0.7, "a": 0.2}}}


SEARCHED = story(
    *(trial(0.1 + 0.01 * n, a=10.0 ** (n / 3), b=["x", "y"][n % 2], same=1) for n in range(9)),
    trial(0.05, b="x", same=1),
    trial(None, a=1.0, b="x", same=1),
    trial(0.9, a=2.0, b="y", same=1) | {"control": True},
)


def test_failed_trials_and_the_control_are_left_out() -> None:
    assert [each.value for each in finished(SEARCHED)] == [0.1 + 0.01 * n for n in range(9)] + [0.05]


def test_the_most_important_parameter_comes_first_and_one_that_never_varies_is_left_out() -> None:
    found = scales(finished(SEARCHED), {"b": 0.7, "a": 0.2})
    assert [scale.name for scale in found] == ["b", "a"]
    words, numbers = found
    assert (words.names, words.log, words.ends) == (["x", "y"], False, ("x", "y"))
    assert (numbers.names, numbers.log) == ((), True)
    assert [round(numbers.share(10.0 ** (n / 3)), 6) for n in (0, 4, 8)] == [0.0, 0.5, 1.0]


def test_a_number_from_a_list_is_a_choice_in_order_of_size() -> None:
    held = [Trial(str(n), 0.1 * n, "", {"l2": [1000.0, 200.0, 500.0][n % 3]}) for n in range(6)]
    (scale,) = scales(held, {})
    assert list(scale.names) == ["200", "500", "1000"]
    assert scale.values == {0: 2.0, 1: 0.0, 2: 1.0, 3: 2.0, 4: 0.0, 5: 1.0}
    places, middles = medians(held, scale)
    assert places == [0.0, 1.0, 2.0]
    assert np.allclose(middles, [0.25, 0.35, 0.15])


def test_a_line_breaks_where_a_trial_has_not_the_parameter() -> None:
    (ax,) = figures(SEARCHED)["search_parallel"].axes
    lines: dict[str, Any] = {
        str(line.get_gid()): np.asarray(line.get_ydata()) for line in ax.get_lines() if line.get_gid()
    }
    assert len(lines) == 10
    broken = lines["trial-9"]  # in the order of the columns b, a, the metric
    assert np.isnan(broken).tolist() == [False, True, False]
    assert not np.isnan(lines["trial-0"]).any()


def test_every_trial_says_what_it_tried() -> None:
    drawn = figures(SEARCHED)
    said = [mark.text for mark in drawn["search_parallel"].marks]
    assert len(said) == 10
    assert said[-1] == "t: NDCG@10 0.1800; b x, a 464.2"
    assert any(
        text == "a 464.2: NDCG@10 0.1800 (t)" for text in (m.text for m in drawn["search_effects"].marks)
    )


def test_a_search_that_tells_no_parameters_has_its_other_figures() -> None:
    bare = story(*({**trial(0.1 * n), "params": None} for n in range(3)))
    assert set(figures(bare)) == {"search_history", "search_importance"}
