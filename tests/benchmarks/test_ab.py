"""What the page of simulated A/B tests claims, on a smaller population."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.ab import page, studies
from benchmarks.ab.trial import CONTROL, LOOKS, WORLD, Bench, Pool

PAIR = (CONTROL, "own, the true power law")


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench.build(2_500, seed=3)


@pytest.fixture(scope="module")
def pools(bench: Bench) -> dict[str, Pool]:
    return {name: bench.serve(name, WORLD.satisfied, seed) for seed, name in enumerate(bench.models)}


def test_users_are_counted_when_their_week_is_over_and_come_alike_to_every_arm(
    pools: dict[str, Pool],
) -> None:
    base = pools[CONTROL]
    assert 0 <= base.look.min() <= base.look.max() < LOOKS
    # Some every day, not all on the first.
    assert np.bincount(base.look // 7)[:4].min() > 0.1 * len(base.look)
    for pool in pools.values():
        assert (pool.look == base.look).all()
        assert (pool.before == base.before).all()
    assert np.corrcoef(base.before, base.outcome)[0, 1] > 0.2


def test_two_thousand_tests_of_nothing(pools: dict[str, Pool]) -> None:
    found = studies.false_alarms(pools[CONTROL], 2_000, 400, seed=1)
    rules = {name: rates[-1] for name, rates in found["rules"].items()}
    assert rules["always-valid, read every day"] <= 0.05
    assert rules["always-valid on CUPED outcomes"] <= 0.05
    assert 0.035 <= rules["fixed, read once at the end"] <= 0.065
    assert rules["fixed, read every day"] > 0.2
    assert found["srm"]["sequential multinomial, read every day"] <= 0.05
    assert found["srm"]["chi-square, read every day"] > 0.2


def test_a_planted_lift_is_found_as_often_as_promised(bench: Bench, pools: dict[str, Pool]) -> None:
    base = pools[CONTROL]
    lifted = studies.planted(bench, base, seed=9, lift=0.2)
    assert lifted.outcome.mean() / base.outcome.mean() == pytest.approx(1.2, abs=0.08)
    found = studies.power(base, lifted, 1_000, 1_000, seed=2)
    assert 0.4 < found["promised"] < 0.95
    assert found["fixed"] == pytest.approx(found["promised"], abs=0.05)
    assert found["fixed with CUPED"] == pytest.approx(found["promised with CUPED"], abs=0.05)
    assert found["promised with CUPED"] > found["promised"]
    assert found["always"] < found["fixed"]
    assert found["day"] < LOOKS


def test_on_line_and_off_line_agree_on_all_that_the_arms_can_tell(
    bench: Bench, pools: dict[str, Pool]
) -> None:
    rows = studies.ranking(bench, pools)
    pairs, apart, alike = studies.told_apart(rows, pools)
    assert pairs == 10
    assert apart >= 6  # at the least: popularity, whole or recent, against each of the three with an own past
    assert alike == apart
    turned = [{**row, "online": -row["online"]} for row in rows]
    assert studies.told_apart(turned, pools) == (pairs, apart, 0)
    assert studies.agreement(rows) >= 0.6


def test_interleaving_needs_fewer_users(bench: Bench, pools: dict[str, Pool]) -> None:
    far = ("popularity, half-life 7 days", CONTROL)  # so far apart that so few users can tell
    found = studies.sensitivity(bench, pools, far, seed=5, experiments=300)
    assert found["preferred"] > 0.6
    assert found["interleaving"] < found["ab with CUPED"] < found["ab"]


@pytest.mark.slow
def test_the_page_says_what_was_found(bench: Bench, pools: dict[str, Pool], tmp_path: Path) -> None:
    base = pools[CONTROL]
    rows = studies.ranking(bench, pools)
    results = {
        "base": base,
        "alarms": studies.false_alarms(base, 20, 100, 1),
        "power": [studies.power(base, pools[PAIR[1]], 200, 20, 1)],
        "lift": 0.1,
        "spread": (1.0, 1.0),
        "relative": 0.0517,
        "reduction": 0.123,
        "ranking": rows,
        "tau": studies.agreement(rows),
        "pairs": studies.told_apart(rows, pools),
        "sensitivity": studies.sensitivity(bench, pools, PAIR, 1, 50),
    }
    page.write(tmp_path / "ab.md", results, {"users": 2500, "experiments": 20, "size": 100, "seed": 3})
    text = (tmp_path / "ab.md").read_text()
    assert "rises by 5.17 %" in text
    assert "explain 12 %" in text
    assert all(f"| {name} |" in text for name in bench.models)
    assert (tmp_path / page.PICTURE).read_bytes().startswith(b"\x89PNG")
