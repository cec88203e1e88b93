"""The plans of the forgetting table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.forgetting_table.plan import NONE, Plan

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("forgetting-table*.yaml")), ids=lambda path: path.name)
def test_every_term_has_its_control_before_its_curves(path: Path) -> None:
    plan = Plan.read(path)
    cells = plan.cells("retail")
    assert len(set(cells)) == len(cells)
    for term in plan.terms:
        families = [cell.family for cell in cells if cell.term == term.label]
        assert families[: len(plan.seeds)] == [NONE] * len(plan.seeds)
        assert len(set(families)) > 1


def test_a_state_that_decays_takes_sums_of_exponentials_alone() -> None:
    plan = Plan.read(CONFIGS / "forgetting-table.yaml").model_copy(update={"neural": None})
    families = {cell.family for cell in plan.cells("retail") if cell.term == "recurrent"}
    assert families == {NONE, "exponential", "geometric", "floor", "mixture"}


def test_neural_terms_may_have_curves_of_their_own() -> None:
    plan = Plan.read(CONFIGS / "forgetting-table.yaml")
    curves = {(cell.family, cell.clock) for cell in plan.cells("retail") if cell.term == "gru"}
    assert curves == {(NONE, "time"), ("mixture", "both")}
    assert len({cell.family for cell in plan.cells("retail") if cell.term == "linear"}) > 10
