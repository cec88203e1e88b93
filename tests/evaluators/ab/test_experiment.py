from __future__ import annotations

import json

import numpy as np
import pytest

from evaluators import significance
from evaluators.ab import Arms, Guardrail, compare, cuped, sample_ratio
from evaluators.arrays import Floats

ARM = np.arange(400) % 4
SHARES = (0.25, 0.25, 0.25, 0.25)


def outcome(seed: int = 0) -> Floats:
    return np.asarray(np.random.default_rng(seed).normal(1.0 + 0.5 * (ARM == 3), 1))


def test_every_arm_is_read_against_the_first() -> None:
    y = outcome()
    found = compare(y, ARM, SHARES)
    assert found.names == ("A", "B", "C", "D")
    assert found.mean == pytest.approx([y[k == ARM].mean() for k in range(4)])
    assert found.ratio == sample_ratio((100, 100, 100, 100), SHARES)
    p = [
        Arms.of(y[(k == ARM) | (ARM == 0)], (ARM[(k == ARM) | (ARM == 0)] > 0) * 1).p()[0] for k in (1, 2, 3)
    ]
    assert [each.p for each in found.against] == pytest.approx(p)
    assert [each.p_holm for each in found.against] == pytest.approx(significance.holm(p))
    assert json.loads(json.dumps(found.to_dict()))["against"][2]["name"] == "D"


def test_holm_keeps_the_chance_of_any_false_alarm() -> None:
    random = np.random.default_rng(1)
    made = [compare(random.normal(0, 1, 400), ARM, SHARES).against for _ in range(300)]
    assert np.mean([min(each.p_holm for each in arms) < 0.05 for arms in made]) <= 0.08
    assert np.mean([min(each.p for each in arms) < 0.05 for arms in made]) > 0.08


def test_covariates_and_guardrails_reach_every_arm() -> None:
    y = outcome(2)
    x = y - 0.5 * (ARM == 3) + np.random.default_rng(3).normal(0, 0.5, 400)
    harm = np.random.default_rng(4).normal(1 - 0.8 * (ARM == 2), 0.5)
    found = compare(y, ARM, SHARES, covariates=x, guardrails={Guardrail("depth", 0.3): harm})
    assert found.reduction == pytest.approx(cuped(y, x, ARM).reduction)
    plain = compare(y, ARM, SHARES)
    for better, worse in zip(found.against, plain.against, strict=True):
        assert better.absolute.high - better.absolute.low < 0.6 * (worse.absolute.high - worse.absolute.low)
    assert [each.guardrails[0].held for each in found.against] == [True, False, True]
    assert found.against[0].guardrails[0].metric == "depth"


def test_bad_arms() -> None:
    with pytest.raises(
        ValueError, match=r"each arm must have at least 2 users, but got \[100, 100, 100, 100, 0\]"
    ):
        compare(outcome(), ARM, (0.2,) * 5)
    with pytest.raises(ValueError, match=r"`len\(names\) == arms` must hold, but got \(1, 4\)"):
        compare(outcome(), ARM, SHARES, names=("old",))
