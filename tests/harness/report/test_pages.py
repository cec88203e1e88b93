"""The pages beside the report: what they say, and that no title, name or setting of anybody is markup on them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.report import change, comparison

from .sample import difference, estimate, segment
from .test_page import Page

PLANTED = "<script>alert('x')</script>\"><img src=x onerror=1>"


def compared(name: str, setting: str = "0.5") -> dict[str, Any]:
    """Three models of invented figures, named and set as asked."""

    def model(number: int) -> dict[str, Any]:
        curve = {
            "unit": "days",
            "half_life": 3.0 + number,
            "curve": [[a, 2 ** (-a / 3)] for a in (0.5, 1.0, 9.0)],
        }
        forgetting = {"family": "exponential", "clock": "time", "params": {"half_life": 3.0}, **curve}
        return {
            "name": f"{number}",
            "label": f"{name} {number}",
            "metrics": {"ndcg@10": estimate(0.3 - 0.02 * number)},
            "segments": {
                "novelty": {"repeats": segment(70, 0.35, 0.02), "new": segment(88, 0.06, 0.007)},
                "cold": {"warm": segment(158, 0.3, 0.02)},
            },
            "terms": [{"name": name, "kind": "own", "weight": 1.0, "settings": {}, "forgetting": forgetting}],
            "settings": {},
        }

    tested = {"holm": 0.04, "benjamini_hochberg": 0.03, "wilcoxon": 0.02, "detectable": 0.006}
    return {
        "metric": "ndcg@10",
        "metrics": {"ndcg@10": estimate(0.3)},
        "queries": 158,
        "comparisons": [
            {"against": str(n), "ndcg@10": {**difference(0.02 * n, 0.03, 0.01), **tested}} for n in (1, 2)
        ],
        "pairs": [
            {
                "a": a,
                "b": b,
                "difference": 0.02 * (b - a),
                "low": 0.01,
                "high": 0.03,
                "p": 0.01,
                "holm": 0.03 * b,
            }
            for a, b in ((0, 1), (0, 2), (1, 2))
        ],
        "audit": {"leaks": False, "verdict": "No leak."},
        "models": [model(n) for n in range(3)],
        "differing": {"chosen.own.weight": [1.0, None, setting], "split.cuts.0": [0.8, 0.7, setting]},
    }


def changed(title: str) -> dict[str, Any]:
    before = [{"item": "1", "title": title, "to": 2}, {"item": "2", "title": f"{title} b", "to": None}]
    after = [{"item": "3", "title": f"{title} c", "rose": None}, {"item": "1", "title": title, "rose": -1}]
    return {
        "name": title,
        "before": f"{title} (v1)",
        "after": "v2",
        "at": "2011-12-09T12:50:01+00:00",
        "k": 2,
        "sampled": 40,
        "agreement": {
            "overlap": estimate(0.5, 0.1),
            "rbo": estimate(0.4, 0.1),
            "same": 0.1,
            "histogram": [{"from": 0.0, "to": 0.5, "users": 30}, {"from": 0.5, "to": 1.0, "users": 10}],
        },
        "gaining": [{"item": "3", "title": title, "before": 1, "after": 9}],
        "losing": [{"item": "2", "title": title, "before": 7, "after": 2}],
        "lists": [{"user": title, "events": 5, "overlap": 0.5, "rbo": 0.4, "before": before, "after": after}],
    }


def test_the_comparison_tells_every_model_difference_segment_curve_and_setting() -> None:
    page = Page(comparison.page(compared("v"), "shop").html())
    ids = [section["id"] for section in page.all("section")]
    assert ids == ["metrics", "differences", "pairs", "segments", "curves", "settings"]
    assert [svg["aria-label"] for svg in page.all("svg") if svg["role"] == "img"] == [
        "NDCG@10 of each model, with intervals.",
        "Paired difference of v 0 to each other model in NDCG@10, with intervals.",
        "NDCG@10 of each model, Repeats and new items.",  # one segment alone is everybody: `cold` is not shown
        "Retention by age in days of v 0, v, v 1, v and v 2, v.",
    ]
    for said in (
        "0.2800 [0.2620, 0.2980]",
        "+0.0200 [−0.0100, 0.0500]",
        "p = 0.040",
        "In what the models differ",
    ):
        assert said in page.text


def test_the_comparison_says_how_its_intervals_are_found() -> None:
    told = compared("v") | {"intervals": {"level": 0.8, "method": "bca"}}
    text = Page(comparison.page(told, "shop").html()).text
    assert "brackets are 80 % BCa intervals that resample users" in text


def test_models_without_differences_say_so() -> None:
    told = compared("v") | {
        "differing": {},
        "audit": {"leaks": True, "verdict": "Leaks: 4 moments straddle."},
    }
    text = Page(comparison.page(told, "shop").html()).text
    assert "No setting differs." in text
    assert "Attention. Leaks: 4 moments straddle." in text


def test_the_change_says_what_moved_where() -> None:
    page = Page(change.page(changed("tea")).html())
    for said in (
        "↓ place 2",
        "gone",
        "new",
        "↓ down 1",
        "tea (v1) answers now, v2 would then",
        "40 users drawn at random",
    ):
        assert said in page.text
    assert [circle["class"] for circle in page.all("circle")] == ["mark"] * 2


@pytest.mark.parametrize("kind", ["comparison", "change"])
def test_script_tags_in_titles_names_and_settings_are_text(kind: str) -> None:
    made = {
        "comparison": lambda: comparison.page(compared(PLANTED, PLANTED), PLANTED),
        "change": lambda: change.page(changed(PLANTED)),
    }
    html = made[kind]().html()
    page = Page(html)
    assert html.count("<script") == 1  # the page's own
    assert len(page.all("script")) == 1
    assert "<img" not in html
    assert page.text.count("<script>alert('x')</script>") >= 8
