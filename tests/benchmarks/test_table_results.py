"""What is published of the forgetting table, and how runs add to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.forgetting_table.page import write
from benchmarks.forgetting_table.plan import NONE, Cell, Plan
from benchmarks.forgetting_table.results import Measured, Results, Values

USERS = np.arange(20.0) // 2
PLAN = Path(__file__).parents[2] / "configs" / "forgetting-table.yaml"


def cells(term: str, seeds: int = 1, **of_curve: tuple[float, float]) -> Measured:
    """By family on the clock of time, (validation, test), of several seeds that lie around them."""
    found: Measured = {}
    for family, (validation, test) in of_curve.items():
        for seed in range(seeds):
            shift = seed - (seeds - 1) / 2
            values: Values = np.full(20, test + shift)
            found[Cell("here", term, family, "time", seed)] = {"validation": validation + shift}, values
    return found


def taken(path: Path, *measured: Measured) -> dict[str, dict[str, Any]]:
    results = Results(path)
    results.take({cell: each for found in measured for cell, each in found.items()}, USERS, "made by hand")
    results.save()
    return Results(path).terms


def test_validation_chooses_and_test_is_told(tmp_path: Path) -> None:
    trend = cells("trend", none=(0.1, 0.10), power=(0.2, 0.15))
    own = cells("own", seeds=2, none=(0.1, 0.3), power=(0.3, 0.4), exponential=(0.2, 0.9))
    found = taken(tmp_path / "here.json", trend, own)["own"]
    assert found["chosen"] == "power/time"
    assert found["figure"] == pytest.approx([0.4] * 3)
    assert found["over_none"] == pytest.approx([0.1] * 3)
    assert found["over_trend"] == pytest.approx([0.25] * 3)
    assert found["curves"]["exponential/time"]["test"] == pytest.approx(0.9)
    assert set(found["curves"]) == {NONE, "power/time", "exponential/time"}


def test_without_the_trend_nothing_is_set_against_it(tmp_path: Path) -> None:
    found = taken(tmp_path / "here.json", cells("own", none=(0.1, 0.3), power=(0.3, 0.4)))
    assert found["own"]["over_trend"] is None


def test_a_run_adds_to_what_others_measured(tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    before = taken(path, cells("own", none=(0.1, 0.3), power=(0.3, 0.4)))["own"]
    after = taken(path, cells("gru", none=(0.1, 0.2)))
    assert after["own"] == before
    assert after["gru"]["chosen"] == NONE


def test_a_term_under_way_does_not_replace_a_whole_one(tmp_path: Path) -> None:
    """Nor does one whose control is missing."""
    path = tmp_path / "here.json"
    before = taken(path, cells("own", none=(0.1, 0.3), power=(0.3, 0.4)))
    assert taken(path, cells("own", none=(0.5, 0.5))) == before
    assert taken(path, cells("own", power=(0.5, 0.5), exponential=(0.5, 0.5))) == before


def test_what_is_published_is_of_the_plan() -> None:
    plan = Plan.read(PLAN)
    for name in plan.data:
        for term, found in Results.of(PLAN.stem, name).terms.items():
            assert term in plan.terms_of(name)
            of_term = [cell for cell in plan.cells(name) if cell.term == term]
            assert len(found["curves"]) == len({(cell.family, cell.clock) for cell in of_term})


def of_term(**over_none: list[float]) -> dict[str, Any]:
    """A term of whose curves validation likes the last best."""
    curves = {
        name: {"validation": 0.1 * place, "test": 0.2 + over[0], "over_none": over}
        for place, (name, over) in enumerate({NONE: [0.0, 0.0, 0.0], **over_none}.items())
    }
    chosen, best = list(curves.items())[-1]
    figure = [best["test"]] * 3
    return {
        "chosen": chosen,
        "figure": figure,
        "over_none": best["over_none"],
        "over_trend": None,
        "curves": curves,
    }


def test_the_page_says_which_wins_where_and_where_forgetting_harms(tmp_path: Path) -> None:
    plan = Plan.read(PLAN)
    retail, films = Results(tmp_path / "retail.json"), Results(tmp_path / "films.json")
    made = {"date": "2026-01-02", "machine": "one"}
    curve = {"family": "exponential", "clock": "time", "half_life": 3.0}
    standing = {
        "log_likelihood": -5.0,
        "behind": [0.0] * 3,
        "gain": [0.1] * 3,
        "apart": False,
        "curve": curve,
    }
    for each in (retail, films):
        life = {"time": [2.45e-7, 1e-7, 1e-6]} if each is films else {"time": [3.0, 2.0, 5.0]}
        each.curves = {
            "chosen": "exponential/time",
            "pays": True,
            "standings": {"exponential/time": {**standing, "half_life": life}},
            "made": made,
        }
    gained, lost, alike = [0.1, 0.05, 0.15], [-0.1, -0.15, -0.05], [0.01, -0.01, 0.03]
    retail.terms = {
        "gru": {**of_term(exponential=lost), "made": made},
        "own": {**of_term(power=gained), "made": made},
    }
    films.terms = {"gru": {**of_term(exponential=alike), "made": made}}
    page = tmp_path / "page.md"
    write(page, PLAN, plan, {"retail": retail, "films": films, "tweets": Results(tmp_path / "none.json")})
    lines = page.read_text().splitlines()
    assert "|  | retail | films |" in lines
    assert "| `own` | **0.3000**; power +0.1000 [+0.0500, +0.1500] |  |" in lines
    harmed, same = "exponential -0.1000 [-0.1500, -0.0500]", "exponential +0.0100 [-0.0100, +0.0300]"
    assert f"| `gru` | 0.1000; {harmed} | **0.2100**; {same} |" in lines
    assert "- Forgetting pays: `own` on retail." in lines
    assert "- Forgetting makes no difference told from chance: `gru` on films." in lines
    assert "- Forgetting harms: `gru` on retail." in lines
    assert "exponential/time, 3 days [2, 5] | exponential/time, 0.02 seconds [0.009, 0.1]" in page.read_text()
    assert "Not measured yet: tweets." in lines
    assert (tmp_path / "page-films.png").exists()
