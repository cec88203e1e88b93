"""One contract for every encoder; `ENCODERS` says which there are."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.trainers import helpers
from trainers.encoders import ENCODERS, ClosedForm, Encoder, Neural, Statistics, TermSettings
from trainers.fitting.fits import fit_term
from trainers.histories import Histories
from trainers.log import TrainingData
from trainers.model import ModelSettings

POWER: dict[str, Any] = {"family": "power", "tau": 3.0, "exponent": 0.7}
MOMENTS: dict[str, Any] = {"family": "exponential", "clock": "moments", "half_life": 2.0}
LEARNED = {**POWER, "learn": True}
HEADS = {**LEARNED, "scope": "head"}
BOTH = {**POWER, "clock": "both", "moments": MOMENTS}
BRIEF = {"epochs": 1, "batch": 16, "rate": 0.01}
SMALL = {"dim": 4, "hidden": 6, "training": BRIEF}
GATED = {"dim": 4, "training": BRIEF}
ATTENTION = {"dim": 4, "blocks": 2, "heads": 2, "training": BRIEF}
OWN = {"age": True, "rank": True, "calendar": True, "renewal": True}
BANK: dict[str, Any] = {"family": "mixture", "half_lives": (0.5, 4.0), "shares": (0.5, 0.5)}


def felt(base: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What every neural term must feel: how it is trained, each factor of `own`, curves that are fixed and learned."""
    alone = dict.fromkeys(OWN, False)
    return [
        (base, {"training": {**BRIEF, "rate": 0.02}}),
        (base, {"own": alone}),
        *(({**base, "own": alone}, {"own": {**alone, name: True}}) for name in OWN),
        (base, {"forgetting": POWER}),
        ({**base, "forgetting": POWER}, {"forgetting": LEARNED}),
    ]


CASES: dict[str, list[dict[str, Any]]] = {
    "trend": [{}, {"forgetting": POWER}, {"forgetting": MOMENTS, "weights": True}, {"forgetting": LEARNED}],
    "own": [
        {},
        {"forgetting": POWER, "weights": True},
        {"forgetting": MOMENTS},
        {"forgetting": LEARNED},
        {"forgetting": {**BOTH, "learn": ["exponent", "moments.half_life"], "scope": "user"}},
    ],
    "linear": [
        {"l2": 2.0},
        {"l2": 2.0, "forgetting": POWER, "weights": True},
        {"variant": "next", "l2": 0.5, "forgetting": MOMENTS},
        {"l2": 2.0, "forgetting": {**LEARNED, "scope": "event_type"}},
        {"variant": "next", "l2": 0.5, "forgetting": {**MOMENTS, "learn": True, "scope": "user"}},
    ],
    "mlp": [
        SMALL,
        {**SMALL, "forgetting": MOMENTS, "weights": True, "max_history": 3, "normalise": 1.0},
        {**SMALL, "forgetting": LEARNED, "own": OWN},
        {**SMALL, "forgetting": {**LEARNED, "scope": "event_type"}},
    ],
    "gru": [GATED, {**GATED, "forgetting": BOTH, "own": OWN}],
    "lstm": [GATED, {**GATED, "forgetting": LEARNED, "own": OWN}],
    "vae": [SMALL, {**SMALL, "forgetting": LEARNED, "weights": True, "own": OWN}],
    "transformer": [
        ATTENTION,
        {**ATTENTION, "forgetting": HEADS, "own": OWN, "max_history": 3},
        {**ATTENTION, "forgetting": {**LEARNED, "scope": "user"}},
    ],
    "recurrent": [
        SMALL,
        {**SMALL, "own": OWN, "max_history": 3},
        {**SMALL, "forgetting": BANK},
        {**SMALL, "forgetting": {"family": "none"}},
    ],
}
"""Settings of each encoder, beside its kind."""

CHANGES: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "trend": [
        ({"forgetting": POWER}, {"forgetting": MOMENTS}),
        ({}, {"weights": True}),
        ({"forgetting": POWER}, {"forgetting": LEARNED}),
    ],
    "own": [
        ({"forgetting": POWER}, {"forgetting": MOMENTS}),
        ({"forgetting": POWER}, {"weights": True}),
        ({"forgetting": POWER}, {"forgetting": LEARNED}),
        ({"forgetting": LEARNED}, {"forgetting": {**LEARNED, "scope": "user"}}),
    ],
    "linear": [
        ({}, {"l2": 3.0}),
        ({}, {"variant": "next"}),
        ({"forgetting": POWER}, {"weights": True}),
        ({"forgetting": POWER}, {"forgetting": LEARNED}),
        ({"forgetting": LEARNED}, {"forgetting": {**LEARNED, "scope": "user"}}),
        ({"variant": "next"}, {"l2": 3.0}),
        ({"variant": "next", "forgetting": POWER}, {"forgetting": MOMENTS}),
        ({"variant": "next", "forgetting": POWER}, {"weights": True}),
    ],
    "mlp": [
        (SMALL, {"dim": 5}),
        (SMALL, {"hidden": 5}),
        (SMALL, {"dropout": 0.5}),
        (SMALL, {"normalise": 0.0}),
        (SMALL, {"max_history": 2}),
        (SMALL, {"weights": True}),
        (SMALL, {"forgetting": POWER}),
        (SMALL, {"training": {**BRIEF, "epochs": 2}}),
        *felt(SMALL),
    ],
    "gru": [(GATED, {"dim": 5}), (GATED, {"dropout": 0.5}), (GATED, {"max_history": 2}), *felt(GATED)],
    "lstm": [(GATED, {"dim": 5}), (GATED, {"dropout": 0.5}), (GATED, {"max_history": 2}), *felt(GATED)],
    "vae": [
        (SMALL, {"dim": 5}),
        (SMALL, {"hidden": 5}),
        (SMALL, {"dropout": 0.5}),
        (SMALL, {"beta": 3.0}),
        (SMALL, {"normalise": 0.0}),
        (SMALL, {"max_history": 2}),
        (SMALL, {"weights": True}),
        *felt(SMALL),
    ],
    "transformer": [
        (ATTENTION, {"dim": 6}),
        (ATTENTION, {"dropout": 0.5}),
        (ATTENTION, {"blocks": 1}),
        (ATTENTION, {"heads": 1}),
        (ATTENTION, {"max_history": 2}),
        ({**ATTENTION, "forgetting": LEARNED}, {"forgetting": HEADS}),
        ({**ATTENTION, "forgetting": LEARNED}, {"forgetting": {**LEARNED, "scope": "user"}}),
        *felt(ATTENTION),
    ],
    "recurrent": [
        (SMALL, {"dim": 5}),
        (SMALL, {"hidden": 5}),
        (SMALL, {"dropout": 0.5}),
        (SMALL, {"max_history": 2}),
        (SMALL, {"forgetting": BANK}),
        ({**SMALL, "forgetting": BANK}, {"forgetting": {**BANK, "shares": (0.9, 0.1)}}),
        ({**SMALL, "forgetting": BANK}, {"forgetting": {**BANK, "learn": True}}),
        *felt(SMALL)[:-2],
    ],
}
"""Settings, and a change of them that must be felt in the scores."""


def term(kind: str, values: dict[str, Any]) -> TermSettings:
    return ModelSettings.model_validate({"terms": [{"kind": kind, **values}]}).terms[0]


TERMS = [term(kind, values) for kind in ENCODERS for values in CASES.get(kind, [])]
every_term = pytest.mark.parametrize("settings", TERMS, ids=[f"{t.kind}-{i}" for i, t in enumerate(TERMS)])
closed_terms = [settings for settings in TERMS if issubclass(ENCODERS[settings.kind], ClosedForm)]
every_closed_form = pytest.mark.parametrize(
    "settings", closed_terms, ids=[f"{t.kind}-{i}" for i, t in enumerate(closed_terms)]
)


def fitted(settings: TermSettings, data: TrainingData) -> Encoder:
    torch.manual_seed(0)
    return fit_term(settings, data, repeats=True)


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_every_encoder_is_covered(kind: str) -> None:
    assert CASES.get(kind), f"give settings of `{kind}` in CASES: an encoder without them is not tested"
    assert CHANGES.get(kind), f"give changes of `{kind}` in CHANGES: each setting must be felt"
    assert ENCODERS[kind].kind == kind


def test_a_configuration_may_name_every_encoder() -> None:
    kinds = [settings.model_fields["kind"].default for settings in get_args(TermSettings)]
    assert kinds == list(ENCODERS)


@every_term
def test_scores_have_a_row_a_moment_and_a_column_an_item(
    settings: TermSettings, data: TrainingData, histories: Histories
) -> None:
    encoder = fitted(settings, data)
    scores = encoder.score(histories)
    assert scores.shape == (len(histories), len(data.catalogue))
    assert np.isfinite(scores).all()
    assert np.ptp(scores) > 0
    assert encoder.score(histories.take(slice(0, 0))).shape == (0, len(data.catalogue))


@every_term
def test_a_fit_and_its_scores_are_the_same_twice(
    settings: TermSettings, data: TrainingData, histories: Histories
) -> None:
    encoder = fitted(settings, data)
    assert np.array_equal(encoder.score(histories), encoder.score(histories))
    assert np.array_equal(fitted(settings, data).score(histories), encoder.score(histories))


@every_term
def test_a_moment_is_scored_the_same_alone_and_among_others(
    settings: TermSettings, data: TrainingData, histories: Histories
) -> None:
    encoder = fitted(settings, data)
    alone = np.concatenate([encoder.score(histories.take(slice(q, q + 1))) for q in range(len(histories))])
    np.testing.assert_allclose(alone, encoder.score(histories), rtol=1e-5, atol=1e-6)


@every_term
def test_state_makes_the_encoder_again(
    settings: TermSettings, data: TrainingData, histories: Histories
) -> None:
    encoder = fitted(settings, data)
    torch.manual_seed(99)
    again = ENCODERS[settings.kind](settings, len(data.catalogue))
    again.load({name: array.copy() for name, array in encoder.state().items()})
    assert np.array_equal(again.score(histories), encoder.score(histories))
    assert again.state().keys() == encoder.state().keys()


@every_term
def test_settings_survive_json(settings: TermSettings) -> None:
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings
    assert type(settings).model_validate(json.loads(json.dumps(settings.model_dump(mode="json")))) == settings


@every_term
def test_a_score_is_the_sum_over_the_events_of_the_history_and_a_rest(
    settings: TermSettings, data: TrainingData, histories: Histories
) -> None:
    """`own` and `linear` have no rest; that of a network is its score without learned retention of own items."""
    encoder = fitted(settings, data)
    scores = encoder.score(histories)
    splits = {}
    for query in range(len(histories)):
        one = histories.take(slice(query, query + 1))
        for column in range(histories.items):
            split = encoder.split(one, column, float(scores[query, column]))
            assert split.events.shape == split.left.shape == one.columns.shape
            assert not split.events[split.left == 0].any()
            total = split.events.sum() + split.rest
            assert total == pytest.approx(scores[query, column], rel=1e-5, abs=1e-6)
            splits[query, column] = split
    if settings.kind in ("own", "linear"):
        assert not any(split.rest for split in splits.values())
    else:
        if isinstance(encoder, Neural):
            encoder.module.own = None
        without = encoder.score(histories)
        for place, split in splits.items():
            assert split.rest == pytest.approx(without[place], rel=1e-5, abs=2e-6)


@pytest.mark.parametrize(
    ("kind", "base", "change"), [(kind, *row) for kind in ENCODERS for row in CHANGES.get(kind, [])]
)
def test_each_setting_is_felt(
    kind: str, base: dict[str, Any], change: dict[str, Any], data: TrainingData, histories: Histories
) -> None:
    before = fitted(term(kind, base), data).score(histories)
    after = fitted(term(kind, {**base, **change}), data).score(histories)
    assert not np.allclose(before, after, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "base", "change"), [(kind, *row) for kind in ENCODERS for row in CHANGES.get(kind, [])]
)
def test_terms_of_one_fit_key_share_their_fit(
    kind: str, base: dict[str, Any], change: dict[str, Any], data: TrainingData
) -> None:
    """A search takes a fit from the store by this key: two settings with one key must have one state, and terms that
    learn the same sums by their key must have the same sums."""
    one, other = term(kind, base), term(kind, {**base, **change})
    encoder = ENCODERS[kind]
    if encoder.fit_key(one) == encoder.fit_key(other):
        assert same(fitted(one, data).state(), fitted(other, data).state())
    if issubclass(encoder, ClosedForm) and encoder.statistics_key(one) == encoder.statistics_key(other):
        assert encoder.fit_key(one) == encoder.fit_key(other) or "l2" in change
        assert same(sums(one, data, slice(None)), sums(other, data, slice(None)))


@every_term
def test_name_weight_and_scale_do_not_ask_for_another_fit(settings: TermSettings) -> None:
    other = settings.model_copy(update={"name": "other", "weight": 9.0, "scale": "standard"})
    encoder = ENCODERS[settings.kind]
    assert encoder.fit_key(other) == encoder.fit_key(settings)
    assert json.loads(json.dumps(encoder.fit_key(settings))) == encoder.fit_key(settings)
    assert encoder.fit_key(settings)["kind"] == settings.kind


def sums(settings: TermSettings, data: TrainingData, users: slice) -> Statistics:
    encoder = ENCODERS[settings.kind](settings, len(data.catalogue))
    assert isinstance(encoder, ClosedForm)
    start, stop, _ = users.indices(data.log.users)
    encoder.prepare(data, repeats=True, seed=0)
    return encoder.statistics(data, slice(start, stop))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(array, other[name]) for name, array in one.items()
    )


@every_closed_form
@pytest.mark.parametrize("size", [2, 3, 40])
def test_sums_of_parts_of_the_users_add_up(settings: TermSettings, data: TrainingData, size: int) -> None:
    whole = sums(settings, data, slice(None))
    parts = [sums(settings, data, data.shard(rank, size)) for rank in range(size)]
    for name, array in whole.items():
        total = np.sum([part[name] for part in parts], axis=0)
        np.testing.assert_allclose(total, array, rtol=2e-6, atol=1e-6)
        assert parts[0][name].dtype == array.dtype


@every_closed_form
def test_a_fit_reads_nothing_after_the_training_events(settings: TermSettings, data: TrainingData) -> None:
    """The same with the future taken out of the log."""
    past = helpers.packed(
        [
            [
                (data.log.times[row] / 86_400, int(data.log.items[row]), float(data.log.weights[row]))
                for row in range(begin, stop)
            ]
            for begin, stop in zip(data.log.offsets[:-1].tolist(), data.stop.tolist(), strict=True)
        ],
        data.log.vocabulary,
    )
    assert same(sums(settings, data, slice(None)), sums(settings, helpers.training(past), slice(None)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "owl"}, "'own'"),
        ({"kind": "own", "weight": -0.5}, "greater than or equal to 0"),
        ({"kind": "own", "weight": float("nan")}, "finite number"),
        ({"kind": "own", "scale": "log"}, "'standard'"),
        ({"kind": "own", "l2": 3.0}, "Extra inputs"),
        ({"kind": "linear", "l2": 0.0}, "greater than 0"),
        ({"kind": "linear", "variant": "slim"}, "'next'"),
        ({"kind": "mlp", "dropout": 1.0}, "less than 1"),
        ({"kind": "mlp", "normalise": 1.5}, "less than or equal to 1"),
        ({"kind": "mlp", "max_history": 0}, "greater than or equal to 1"),
        ({"kind": "mlp", "training": {"rate": 0}}, "greater than 0"),
        ({"kind": "mlp", "training": {"optimizer": "adamw"}}, "Extra inputs"),
        ({"kind": "mlp", "training": {"loss": {"kind": "hinge"}}}, "'gbce'"),
        ({"kind": "mlp", "training": {"loss": {"negatives": 0}}}, "greater than or equal to 1"),
        ({"kind": "mlp", "training": {"loss": {"calibration": 1.1}}}, "less than or equal to 1"),
        ({"kind": "mlp", "training": {"average": 1.0}}, "less than 1"),
        ({"kind": "mlp", "training": {"schedule": "cosine"}}, "'linear'"),
        ({"kind": "mlp", "own": {"hour": True}}, "Extra inputs"),
        ({"kind": "vae", "beta": -1.0}, "greater than or equal to 0"),
        ({"kind": "gru", "weights": True}, "`weights` of `gru` must be false"),
        (
            {"kind": "mlp", "forgetting": {**POWER, "learn": True, "scope": "head"}},
            r"must be one of \(all, event_type, category, user\), but got 'head'",
        ),
        (
            {"kind": "transformer", "forgetting": {**POWER, "scope": "head"}},
            r"`scope: head` needs a curve that is learned, since heads begin alike; add `learn: true`",
        ),
        (
            {"kind": "transformer", "dim": 5, "heads": 2},
            r"`heads` must divide `dim`, but got \(dim=5, heads=2\)",
        ),
        (
            {"kind": "recurrent", "forgetting": POWER},
            "a state of `recurrent` decays exponentially, but `power` is no sum of exponentials; take `mixture`",
        ),
        (
            {"kind": "recurrent", "forgetting": {**BANK, "clock": "both", "moments": POWER}},
            "but `power` is no sum of exponentials",
        ),
        ({"kind": "trend", "forgetting": {"family": "power", "tau": 1}}, "takes the parameters"),
    ],
)
def test_wrong_settings_fail(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSettings.model_validate({"terms": [values]})


def test_a_label_is_the_name_or_the_kind() -> None:
    assert term("own", {}).label == "own"
    assert term("own", {"name": "weekly"}).label == "weekly"
