"""Curves by likelihood: the value, the gradient, the intervals, and what is known of simulated logs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.trainers.forgetting.cases import EXAMPLES
from tests.trainers.simulate import curve, simulated, trained
from trainers.curves.choices import Choices, Crowd
from trainers.curves.likelihood import Free, Problem, Weighing, fit, log_likelihood
from trainers.forgetting import FAMILIES, ForgettingSettings
from trainers.forgetting.base import MOST
from trainers.log import TrainingData


@pytest.fixture(scope="module")
def choices(data: TrainingData) -> Choices:
    return Choices.of(data, data.moments(), Crowd.of(data), repeats=True, sample=10**6)


def test_a_fit_tells_the_likelihood_event_by_event(choices: Choices) -> None:
    found = fit(choices, ForgettingSettings(family="exponential", half_life=3))
    expected = []
    for target, moment in enumerate(choices.moment):
        events = np.arange(choices.offsets[moment], choices.offsets[moment + 1])
        left = 2.0 ** (-choices.days[events] / found.half_life)
        total = found.shares["popular"] * choices.popular[target]
        for name in ("own", "related"):
            hit = choices.sources[name].toarray()[target, events]
            total += found.shares[name] * (left * hit).sum() / left.sum()
        expected.append(math.log(total))
    np.testing.assert_allclose(log_likelihood(choices, found), expected, rtol=1e-9)
    np.testing.assert_allclose(found.log_likelihood, expected, atol=2e-3)  # ages are read to 0.05 %
    assert sum(found.shares.values()) == pytest.approx(1)


CURVES = [
    {"family": family, "clock": clock, **values}
    for family, rows in EXAMPLES.items()
    for values in rows[:2]
    for clock in ("time", "moments")
] + [
    {
        "family": "power",
        "clock": "both",
        "tau": 2.0,
        "exponent": 0.5,
        "moments": {"family": "geometric", "rate": 0.7},
    }
]


@pytest.mark.parametrize("values", CURVES, ids=[f"{c['family']}-{c['clock']}" for c in CURVES])
def test_the_gradient_is_that_of_the_likelihood(choices: Choices, values: dict[str, Any]) -> None:
    problem = Problem(choices, Free.of(ForgettingSettings.model_validate({**values, "learn": True})))
    free = problem.space.vector(problem.space.curve.stretched(1.037))  # no age lies at a kink
    at = np.concatenate((free, [0.3, -0.7]))
    _, gradient = problem.loss(at)
    for place, step in enumerate(np.eye(len(at)) * 1e-4):
        numeric = (problem.loss(at + step)[0] - problem.loss(at - step)[0]) / 2e-4
        assert gradient[place] == pytest.approx(numeric, rel=1e-4, abs=1e-6)
    moved = at - problem.centre
    prior = moved @ moved / (2 * 64) / len(choices)
    whole = log_likelihood_at(problem, at)
    assert problem.loss(at)[0] == pytest.approx(prior - whole.mean())
    users = problem.scores(at)
    assert len(users) == len(np.unique(choices.user))
    np.testing.assert_allclose(users.sum(0) / len(choices), -gradient + moved / 64 / len(choices), atol=1e-8)


def log_likelihood_at(problem: Problem, vector: Any) -> Any:
    return problem.fitted(vector).log_likelihood


@pytest.mark.parametrize("family", ["linear", "weibull", "growth"])
def test_where_a_curve_has_ended_the_latest_events_stand_for_all(choices: Choices, family: str) -> None:
    """The limit from before its end: it makes no difference whether a moment lies just before or just beyond it."""
    weighing = Weighing(choices)
    made = FAMILIES[family].from_half_life(1e-6)
    latest = np.maximum.reduceat(-choices.days, weighing.starts)[weighing.of] == -choices.days
    expected = latest / np.add.reduceat(latest.astype(float), weighing.starts)[weighing.of]
    lost = np.asarray(made.exponent(choices.days))
    np.testing.assert_allclose(lost, MOST)
    np.testing.assert_allclose(weighing.weights(lost), expected, atol=1e-12)
    # Far out an exponential keeps its ratios: it has no end.
    slow = choices.days * 1e-6 + 2 * MOST
    even = 1 / np.diff(choices.offsets)[weighing.of]
    np.testing.assert_allclose(weighing.weights(slow), even, rtol=1e-3)


def test_an_interval_of_a_curve_that_ends_holds_the_truth() -> None:
    """Simulated with a horizon of 20 days: the likelihood has a kink at each age, and between two of them no bend, by
    which intervals would hold the truth three times in four."""
    held = []
    for seed in range(12):
        log = simulated(curve("linear", horizon=20.0), users=60, moments=40, own=0.8, seed=seed)
        data = trained(log)
        choices = Choices.of(data, data.moments(), Crowd.of(data), repeats=True, sample=10**6)
        found = fit(choices, ForgettingSettings(family="linear", horizon=5.0))
        low, high = found.half_life_interval()
        held.append(low < 10 < high)
    assert sum(held) >= 11


def test_only_what_is_to_be_learned_moves(choices: Choices) -> None:
    given = {"family": "power", "tau": 2.0, "exponent": 0.5}
    found = fit(choices, ForgettingSettings.model_validate({**given, "learn": ["exponent"]})).forgetting
    assert found.values["tau"] == 2.0
    assert found.values["exponent"] != 0.5
    every = fit(choices, ForgettingSettings.model_validate(given)).forgetting
    assert every.values["tau"] != 2.0
    assert every == fit(choices, ForgettingSettings.model_validate({**given, "learn": True})).forgetting


def test_a_curve_without_a_half_life_has_no_interval(choices: Choices) -> None:
    found = fit(choices, ForgettingSettings())
    assert math.isinf(found.half_life)
    assert found.half_life_interval() == (0.0, math.inf)
    assert found.parameters == 0
    assert found.covariance.shape == (0, 0)


def test_a_fit_is_judged_on_choices_of_its_own_kind(data: TrainingData, choices: Choices) -> None:
    found = fit(choices, ForgettingSettings())
    other = Choices.of(data, data.moments(), Crowd.of(data), repeats=False)
    with pytest.raises(ValueError, match=r"the reasons of the fit \(popular, own, related\)"):
        log_likelihood(other, found)
