"""A population: who takes over from whom, that timing does not matter, and that it finds a schedule."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.trainers.search import populations
from tests.trainers.search.populations import (
    EPOCHS,
    Noisy,
    after_step,
    best_possible,
    population_of,
    run,
    settings,
    subject,
    values,
)
from trainers.search.course import Course
from trainers.search.members import Population

SMALL = settings(4, scheduler={"interval": 6})


def fixed(rate: float) -> float:
    """The value of a training with this rate throughout."""
    variance = populations.START
    for _ in range(EPOCHS):
        variance = after_step(variance, rate)
    return -math.log(variance)


def tell(members: Population, round_: dict[int, float | None], number: int) -> None:
    """A round is over."""
    for member, value in round_.items():
        members.tell(
            number * members.size + member,
            value if value is None else None,
            [] if value is None else [(1, value)],
        )


def test_the_worst_take_over_from_the_best() -> None:
    """By hand: of six, of whom a fourth is two, members 1 and 4 have the least, 0 and 2 the most."""
    chosen = settings(6, scheduler={"resample": 0.0})
    members = populations.population(chosen)
    first = [task for _ in range(6) if (task := members.propose())]
    assert [task.number for task in first] == list(range(6))
    assert {task.until for task in first} == {3}
    assert members.propose() is None
    tell(members, {0: 0.9, 1: 0.1, 2: 0.8, 3: 0.5, 4: 0.2, 5: 0.4}, 0)
    second = {task.number - 6: task for _ in range(6) if (task := members.propose())}
    assert sorted(second) == list(range(6))
    for member in (0, 2, 3, 5):
        assert second[member].course == first[member].course
        assert members.lineage[1, member] == (member, member)
    donors = set()
    for member in (1, 4):
        donor, own = members.lineage[1, member]
        assert own == member
        assert donor in (0, 2)
        donors.add(donor)
        (begin, before), (after, now) = second[member].course
        assert (begin, after) == (0, 3)
        assert before == first[donor].params
        change = now["mlp.training.rate"] / before["mlp.training.rate"]
        clipped = now["mlp.training.rate"] in (0.01, 1.0)
        assert clipped or change == pytest.approx(0.8, rel=1e-5) or change == pytest.approx(1.25, rel=1e-5)
    assert [task.after for task in second.values()] == [(3,)] * 6
    assert members.through == 3


def test_of_equals_the_later_one_takes_over() -> None:
    members = populations.population(settings(4))
    for _ in range(4):
        members.propose()
    tell(members, dict.fromkeys(range(4), 0.5), 0)
    for _ in range(4):
        members.propose()
    assert [members.lineage[1, member][0] for member in range(4)] == [0, 1, 2, 0]


def test_who_is_safe_does_not_wait() -> None:
    """A fourth of four is one: with one below, a member is safe; the one below waits."""
    members = populations.population(settings(4))
    for _ in range(4):
        members.propose()
    members.tell(2, None, [(3, 0.7)])
    assert members.propose() is None
    members.tell(1, None, [(3, 0.3)])
    task = members.propose()
    assert task is not None
    assert (task.number, task.until) == (4 + 2, 6)
    assert members.propose() is None


def test_a_member_that_fails_is_out_and_the_others_go_on() -> None:
    members = populations.population(settings(4))
    for _ in range(4):
        members.propose()
    tell(members, {0: 0.1, 1: None, 2: 0.3, 3: 0.2}, 0)
    second = [task for _ in range(4) if (task := members.propose())]
    assert sorted(task.number - 4 for task in second) == [0, 2, 3]
    assert members.lineage[1, 0] == (2, 0)
    assert members.course(1) == members.courses[0, 1]
    assert not members.over
    assert members.through == 0  # for when it is taken up again
    for number in range(1, len(members.ends)):
        tell(members, {0: 0.1, 2: 0.3, 3: 0.2}, number)
        while members.propose():
            pass
    assert members.over


def test_it_finds_a_schedule_that_no_fixed_member_comes_near(tmp_path: Path) -> None:
    """Of the noisy square the best rate falls as 1 / t: no rate that stays comes near it."""
    chosen = settings(12)
    members = run(chosen, tmp_path)
    found = max(values(members))
    begin = [members.courses[0, member][0][1]["mlp.training.rate"] for member in range(12)]
    grid = max(fixed(rate) for rate in np.geomspace(0.01, 1, 500))
    best = best_possible()
    assert max(map(fixed, begin)) <= grid < found < best
    assert found - grid > 0.5 * (best - grid)
    winner = values(members).index(found)
    rates = [step.params["mlp.training.rate"] for step in members.steps(winner)]
    assert rates[0] > 4 * rates[-1]
    assert len(members.courses[len(members.ends) - 1, winner]) > 3
    # As many epochs as that many trials have, and not one more.
    assert len(populations.trained(tmp_path)) == 12 * EPOCHS


def test_a_lineage_replays_to_the_very_same_figures(tmp_path: Path) -> None:
    chosen = settings(8)
    again = tmp_path / "again"
    again.mkdir()
    members = run(chosen, tmp_path)
    judge = Noisy(str(again), population_of(chosen)).open()
    for member in range(8):
        *looks, last = judge(subject().along(members.course(member)))
        assert last.values.mean() == members.values[len(members.ends) - 1, member]
        told = [step.value for step in members.steps(member)]
        assert [look.values.mean() for look in looks] == told[:-1]
        assert told[-1] is None


def test_neither_order_nor_number_of_workers_changes_anything(tmp_path: Path) -> None:
    found = []
    for number, (order, limit) in enumerate(((1, 100), (-1, 100), (1, 1), (-1, 2))):
        folder = tmp_path / str(number)
        folder.mkdir()
        members = run(settings(5, seed=3, scheduler={"interval": 6}), folder, order=order, limit=limit)
        found.append((members.courses, members.lineage, members.values))
    assert all(each == found[0] for each in found)
    other = run(settings(5, seed=4, scheduler={"interval": 6}), tmp_path)
    assert other.courses != found[0][0]


@pytest.mark.parametrize("most", [1, 4, 6, 13])
def test_killed_anywhere_it_goes_on_to_the_same_end(tmp_path: Path, most: int) -> None:
    (tmp_path / "whole").mkdir()
    expected = run(SMALL, tmp_path / "whole")
    run(SMALL, tmp_path, limit=2, most=most)
    again = run(SMALL, tmp_path, limit=2)
    assert (again.courses, again.lineage, again.values) == (
        expected.courses,
        expected.lineage,
        expected.values,
    )
    lines = populations.trained(tmp_path)
    assert len(lines) == 4 * EPOCHS  # nothing was trained twice


def test_what_is_lost_of_the_states_is_trained_again(tmp_path: Path) -> None:
    """One is broken, one is gone: the members that go on from there begin with what is left before."""
    (tmp_path / "whole").mkdir()
    expected = run(SMALL, tmp_path / "whole")
    run(SMALL, tmp_path, most=12)
    states = sorted((tmp_path / "trials" / "rounds").glob("*.pt"))
    assert [file.name[:5] for file in states] == ["00006"] * 4 + ["00012"] * 4 + ["00018"] * 4
    last = states[8:]
    last[0].unlink()
    last[1].write_bytes(last[1].read_bytes()[:100])
    for file in states[4:8]:
        file.unlink()
    again = run(SMALL, tmp_path)
    assert again.values == expected.values
    assert len(populations.trained(tmp_path)) >= 4 * EPOCHS + 12


def test_other_settings_are_felt(tmp_path: Path) -> None:
    def courses(**scheduler: float | tuple[float, float]) -> list[Course]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        members = run(settings(4, scheduler={"interval": 6, **scheduler}), folder)
        return [members.course(member) for member in range(4)]

    base = courses()
    assert courses() == base
    for change in ({"interval": 5}, {"quantile": 0.5}, {"factors": (0.5, 2.0)}, {"resample": 1.0}):
        assert courses(**change) != base
