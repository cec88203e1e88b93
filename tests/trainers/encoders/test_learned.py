"""Curves that a closed-form term learns, and curves that differ by group: values, state, unknown groups, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.trainers import helpers
from tests.trainers.simulate import curve, simulated, trained
from trainers.encoders import ENCODERS, ClosedForm
from trainers.encoders.base import STRETCH
from trainers.encoders.own import Own, OwnSettings
from trainers.encoders.trend import Trend, TrendSettings
from trainers.fitting.fits import Fits, fit_model, fit_term
from trainers.forgetting import ForgettingSettings
from trainers.histories import Histories
from trainers.log import TrainingData
from trainers.model import Model, ModelSettings

LEARN: dict[str, Any] = {"family": "exponential", "half_life": 30.0, "learn": True}
BY_TYPE: dict[str, Any] = {"family": "exponential", "half_life": 1.0, "scope": "event_type"}


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return trained(
        simulated(
            curve("exponential", half_life=1.0), users=150, types=2, by_type=np.array([2.0, 20.0]), own=0.9
        )
    )


@pytest.fixture(scope="module")
def small() -> TrainingData:
    return trained(simulated(curve("exponential", half_life=5.0), users=30, moments=30, types=2, own=0.9))


def moments(data: TrainingData) -> Histories:
    return helpers.histories_of(data, data.moments().take(slice(0, 40)))


def settings(*terms: dict[str, Any]) -> ModelSettings:
    return ModelSettings.model_validate({"terms": list(terms)})


def test_a_term_learns_the_half_life_that_made_the_log() -> None:
    log = trained(simulated(curve("exponential", half_life=7.0), users=300, own=0.9, seed=1))
    (own,) = fit_model(settings({"kind": "own", "forgetting": LEARN}), log, repeats=True).encoders
    assert own.forgetting.half_life == pytest.approx(7, rel=0.15)


def test_types_learn_their_stretches(data: TrainingData) -> None:
    (own,) = fit_model(
        settings({"kind": "own", "forgetting": {**LEARN, "scope": "event_type"}}), data, repeats=True
    ).encoders
    assert isinstance(own, Own)
    assert own.stretch is not None
    assert own.forgetting.half_life * own.stretch == pytest.approx([2, 20], rel=0.35)


@pytest.mark.parametrize("scope", ["all", "event_type", "user"])
def test_what_was_learned_is_saved_and_found_again(small: TrainingData, tmp_path: Path, scope: str) -> None:
    forgetting = {**LEARN, "scope": scope}
    model = fit_model(
        settings(
            {"kind": "own", "forgetting": forgetting},
            {"kind": "linear", "l2": 5.0, "forgetting": forgetting},
            {"kind": "trend", "forgetting": LEARN},
        ),
        small,
        repeats=True,
    )
    model.save(tmp_path)
    again = Model.load(tmp_path)
    histories = moments(small)
    assert np.array_equal(again.score(histories), model.score(histories))
    for one, other in zip(model.encoders, again.encoders, strict=True):
        assert one.forgetting == other.forgetting
        assert one.forgetting.half_life != 30
    assert ("forgetting.stretch" in again.encoders[0].state()) == (scope != "all")


def test_sums_of_many_workers_carry_the_curve_once(small: TrainingData, tmp_path: Path) -> None:
    (term,) = settings({"kind": "linear", "l2": 5.0, "forgetting": {**LEARN, "scope": "user"}}).terms
    parts = []
    for rank in range(3):
        encoder = ENCODERS["linear"](term, len(small.catalogue))
        assert isinstance(encoder, ClosedForm)
        encoder.prepare(small, repeats=True, seed=0)
        parts.append(encoder.statistics(small, small.shard(rank, 3)))
    total = {name: np.sum([part[name] for part in parts], axis=0) for name in parts[0]}
    Fits(tmp_path).write([(term, total, None)])
    alone = fit_term(term, small, repeats=True)
    found = fit_term(term, small, Fits(tmp_path), repeats=True)
    assert found.forgetting == alone.forgetting
    assert np.array_equal(found.state()[STRETCH], alone.state()[STRETCH])
    Fits(tmp_path).solve(term, len(small.catalogue))
    solved = fit_term(term, small, Fits(tmp_path), repeats=True)
    np.testing.assert_allclose(
        solved.score(moments(small)), alone.score(moments(small)), rtol=1e-4, atol=1e-6
    )
    other = term.model_copy(
        update={"forgetting": ForgettingSettings.model_validate({**LEARN, "scope": "all"})}
    )
    assert Fits(tmp_path).statistics(other) is None


def test_sums_before_the_curve_is_settled_are_refused(data: TrainingData) -> None:
    own = Own(OwnSettings(forgetting=ForgettingSettings.model_validate(LEARN)), len(data.catalogue))
    with pytest.raises(RuntimeError, match="`prepare` goes before"):
        own.statistics(data, slice(0, data.log.users))


TYPED = helpers.packed([[(0.0, 0), (2.0, 1), (4.0, 0)]], types=[0, 1, 1], category=[1, 0])
NAMED = replace(TYPED, names={"event_type": ("sold", "viewed"), "category": ("food", "toys")})


def own_scores(forgetting: dict[str, Any], histories: Histories | None = None) -> Any:
    log = helpers.training(NAMED)
    own = fit_term(settings({"kind": "own", "forgetting": forgetting}).terms[0], log, repeats=True)
    return own.score(
        helpers.histories_of(log, log.moments().take(slice(1, 2))) if histories is None else histories
    )


def test_own_by_hand_with_a_stretch_by_name() -> None:
    """At day 4 item 0 is 4 days old and of type sold, item 1 is 2 days old and of type viewed."""
    assert own_scores({**BY_TYPE, "stretch": {"viewed": 2.0}})[0] == pytest.approx([2**-4, 2**-1])
    by_category = {**BY_TYPE, "scope": "category", "stretch": {"toys": 4.0}}
    assert own_scores(by_category)[0] == pytest.approx([2**-1, 2**-2])
    assert own_scores({**BY_TYPE, "scope": "all"})[0] == pytest.approx([2**-4, 2**-2])


def test_an_unknown_group_has_the_common_curve() -> None:
    log = helpers.training(NAMED)
    histories = helpers.histories_of(log, log.moments().take(slice(1, 2)))
    unknown = replace(histories, types=np.array([-1, 7], np.int16))
    stretched = {**BY_TYPE, "stretch": {"sold": 3.0, "viewed": 2.0}}
    assert own_scores(stretched, unknown)[0] == pytest.approx([2**-4, 2**-2])


def test_trend_by_hand_with_a_stretch_by_name() -> None:
    """At day 4, the last event: item 0 is 4 days old (sold) and new (viewed), item 1 is 2 days old (viewed)."""
    log = helpers.training(NAMED)
    curve_by_type = ForgettingSettings.model_validate({**BY_TYPE, "stretch": {"sold": 4.0, "viewed": 2.0}})
    trend = fit_term(TrendSettings(forgetting=curve_by_type), log, repeats=True)
    assert isinstance(trend, Trend)
    assert trend.popularity == pytest.approx([1, 2**-1 / (1 + 2**-1)])


def test_what_explains_a_score_is_stretched_too() -> None:
    log = helpers.training(NAMED)
    own = fit_term(
        settings({"kind": "own", "forgetting": {**BY_TYPE, "stretch": {"viewed": 2.0}}}).terms[0],
        log,
        repeats=True,
    )
    histories = helpers.histories_of(log, log.moments().take(slice(1, 2)))
    assert own.split(histories, 0, 2**-4).left.tolist() == pytest.approx([2**-4, 0])
    assert own.split(histories, 1, 2**-1).left.tolist() == pytest.approx([0, 2**-1])


def test_a_trend_that_fades_is_learned() -> None:
    """Everybody takes what everybody took, by a half-life of 3 days, or anything."""
    random = np.random.default_rng(0)
    days = np.sort(random.uniform(0, 60, 4000))
    items = random.integers(0, 50, len(days))
    for event in range(100, len(days)):
        if random.random() < 0.9:
            left = np.cumsum(2.0 ** (-(days[event] - days[:event]) / 3))
            items[event] = items[np.searchsorted(left, random.random() * left[-1])]
    users = random.integers(0, 40, len(days))
    log = helpers.packed(
        [
            [(float(d), int(i)) for d, i in zip(days[users == u], items[users == u], strict=True)]
            for u in range(40)
        ],
        50,
    )
    learned = TrendSettings(forgetting=ForgettingSettings.model_validate(LEARN))
    trend = fit_term(learned, helpers.training(log), repeats=True)
    assert trend.forgetting.half_life == pytest.approx(3, rel=0.3)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (
            {"kind": "own", "forgetting": {**LEARN, "scope": "head"}},
            "`forgetting.scope` of `own` must be one of",
        ),
        (
            {"kind": "trend", "forgetting": {**LEARN, "scope": "user"}},
            r"\(all, event_type, category\), but got 'user'",
        ),
        (
            {"kind": "trend", "forgetting": {**LEARN, "scope": "event_type"}},
            "needs `scope: all` and `clock: time`",
        ),
        (
            {"kind": "trend", "forgetting": {**LEARN, "clock": "moments"}},
            "needs `scope: all` and `clock: time`",
        ),
        ({"kind": "gru", "forgetting": {**LEARN, "scope": "category"}}, r"must be one of \(all\)"),
    ],
)
def test_scopes_that_a_term_cannot_have_are_refused(term: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(term)


def test_a_stretch_of_an_unknown_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`stretch.bought`: the log has no event type of that name, but sold, viewed"
    ):
        own_scores({**BY_TYPE, "stretch": {"bought": 2.0}})
