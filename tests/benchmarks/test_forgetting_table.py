"""The plans of the forgetting table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.forgetting_table.plan import NONE, Curves, Plan, curves_file

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


def test_what_was_measured_is_found_until_what_decides_it_changes(tmp_path: Path) -> None:
    """A closed form rests on the space and the trials, a network on the sample that says where its curve begins, the
    likelihoods on the sample and on which curves are compared."""
    plan = Plan.read(CONFIGS / "forgetting-table.yaml")
    by_term = {cell.term: cell for cell in plan.cells("retail") if cell.family == "mixture"}
    changes = {
        "trials": plan.trials + 1,
        "sample": plan.sample + 1,
        "curves": Curves(families=("exponential", "power"), clocks=("time",)),
        "seeds": (1, 2),
    }
    found = {}
    for name, value in changes.items():
        other = plan.model_copy(update={name: value})
        anew = {
            term for term, cell in by_term.items() if cell.file(tmp_path, other) != cell.file(tmp_path, plan)
        }
        likelihood = curves_file(tmp_path, other, "retail") != curves_file(tmp_path, plan, "retail")
        found[name] = anew | {"likelihood"} if likelihood else anew
    closed_forms = {"trend", "own", "linear"}
    assert found == {
        "trials": closed_forms,
        "sample": (by_term.keys() - closed_forms) | {"likelihood"},
        "curves": {"likelihood"},
        "seeds": set(),
    }
    assert curves_file(tmp_path, plan, "retail") != curves_file(tmp_path, plan, "films")
