"""Compiled models: how far their scores are off, and that a user's state gives the scores of the whole history."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.trainers.forgetting.cases import EXAMPLES
from tests.trainers.helpers import packed, queries_of
from trainers.encoders import ENCODERS, Linear, Neural
from trainers.forgetting import FAMILIES, Forgetting
from trainers.forgetting.compiled import Compiled, compile
from trainers.histories import Histories
from trainers.log import DAY
from trainers.model import Model, ModelSettings
from trainers.serving import CompiledModel, UserState, compiled

ITEMS = 7
Stream = list[tuple[int, float, float]]
"""(column, weight, unix seconds)."""

BOTH = {
    "family": "power",
    "clock": "both",
    "tau": 3.0,
    "exponent": 0.7,
    "moments": {"family": "hyperbolic", "tau": 2.0},
}
BANK = {"kind": "recurrent", "dim": 5, "hidden": 6}
SMOOTH = [
    {"family": name, **EXAMPLES[name][0]}
    for name in ("none", "exponential", "power", "hyperbolic", "geometric", "weibull", "floor", "mixture")
]
CURVES: list[dict[str, Any]] = [*SMOOTH, *({**curve, "clock": "moments"} for curve in SMOOTH), BOTH]
ROUGH = [
    {"family": name, **EXAMPLES[name][0]} for name in FAMILIES if name not in {c["family"] for c in SMOOTH}
]


@cache
def _once(curve: Forgetting, states: int) -> Compiled:
    return compile(curve, states)


def _cached(curve: Forgetting, states: int, ages: Any) -> Compiled:
    return compile(curve, states, ages) if ages else _once(curve, states)


@pytest.fixture(scope="module", autouse=True)
def _each_curve_is_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainers.serving.model.compile", _cached)
        yield


def model_of(*terms: dict[str, Any], seed: int = 0) -> Model:
    """A model with random parameters."""
    settings = ModelSettings.model_validate({"terms": terms})
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    encoders = []
    for term in settings.terms:
        encoder = ENCODERS[term.kind](term, ITEMS)
        if term.kind == "linear":
            encoder.load({"matrix": rng.normal(size=(ITEMS, ITEMS)).astype(np.float32)})
        elif term.kind == "trend":
            encoder.load({"popularity": rng.random(ITEMS)})
        elif isinstance(encoder, Neural):
            with torch.no_grad():
                for parameter in encoder.module.parameters():
                    parameter.add_(0.3 * torch.randn_like(parameter))
        encoders.append(encoder)
    return Model(settings, encoders, ITEMS)


def stream(seed: int, count: int = 40, first: float = 1.6e9) -> Stream:
    """Repeats, several events a moment, items outside the catalogue, gaps from a second to months."""
    rng = np.random.default_rng(seed)
    gaps = np.floor(10 ** rng.uniform(0, 7, count)) * (rng.random(count) < 0.7)
    return [
        (int(column), float(weight), float(at))
        for column, weight, at in zip(
            rng.integers(-1, ITEMS, count), rng.integers(0, 5, count), first + np.cumsum(gaps), strict=True
        )
    ]


def histories_of(events: Stream, asked: list[float]) -> Histories:
    """Of one user, what came strictly before each time that is asked."""
    log = packed([[(at / DAY, column % (ITEMS + 1), weight) for column, weight, at in events]], ITEMS + 1)
    log.times[:] = [at for *_, at in events]
    ends = np.searchsorted(log.times, asked)
    queries = queries_of([(at, 0, int(end), []) for at, end in zip(asked, ends, strict=True)])
    column = np.array([*range(ITEMS), -1], np.int32)
    return Histories.of(log, queries, column, ITEMS)


def moments_of(events: Stream) -> list[float]:
    """A time before every moment but the first, and one long after the last."""
    times = np.unique([at for *_, at in events])
    return [*times[1:].tolist(), float(times[-1] + 90 * DAY)]


def replayed(model: CompiledModel, events: Stream, asked: list[float]) -> npt.NDArray[np.float64]:
    """[Q, I] what a state says at ascending times, event by event."""
    state, scores, queue = UserState(model), [], list(events)
    for at in asked:
        while queue and queue[0][2] < at:
            state.update(*queue.pop(0))
        scores.append(state.scores(at))
    return np.array(scores)


@cache
def everything() -> CompiledModel:
    """All kinds of terms that have a state, in either scale."""
    return compiled(
        model_of(
            {"kind": "trend", "weight": 0.3, "scale": "standard"},
            {"kind": "own", "weight": 1.5, "weights": True, "forgetting": BOTH},
            {"kind": "linear", "weight": 0.5, "scale": "standard", "forgetting": CURVES[2]},
            {"kind": "linear", "name": "shared", "forgetting": CURVES[2]},
            {**BANK, "weight": 0.2},
            {"kind": "own", "name": "unused", "weight": 0},
        ),
        states=6,
    )


# How far compiled scores are off


@pytest.mark.parametrize("curve", [*CURVES, *ROUGH], ids=str)
@pytest.mark.parametrize("scale", ["raw", "standard"])
def test_scores_are_within_the_bound(curve: dict[str, Any], scale: str) -> None:
    terms = [
        {"kind": "own", "weight": 1.5, "weights": True, "forgetting": curve, "scale": scale},
        {"kind": "linear", "weight": 0.5, "forgetting": curve, "scale": scale},
    ]
    exact = model_of(*terms)
    found = compiled(exact, 4)
    for seed in range(3):
        events = stream(seed)
        histories = histories_of(events, moments_of(events))
        off = np.abs(found.model.score(histories) - exact.score(histories))
        assert (off <= found.bound(histories)).all()


@pytest.mark.parametrize("curve", CURVES, ids=str)
def test_smooth_curves_are_near_with_a_dozen_states(curve: dict[str, Any]) -> None:
    found = compiled(model_of({"kind": "own", "forgetting": curve}))
    assert found.errors["own"] < 1e-3


def test_the_bound_is_the_sum_of_the_errors() -> None:
    """By hand, where all ages are among those compiled for: a few parts in a million are rounding."""
    model = model_of(
        {"kind": "own", "weight": 2.0, "weights": True, "forgetting": CURVES[2]},
        {"kind": "linear", "weight": 0.5, "forgetting": {"family": "linear", "horizon": 3.0}},
        {"kind": "trend"},
    )
    found = compiled(model, 3)
    assert set(found.errors) == {"own", "linear"}
    events = [(2, 3.0, 0.0), (2, 2.0, 600.0), (-1, 1.0, 700.0), (4, 1.0, 900.0)]
    linear = model.encoders[1]
    assert isinstance(linear, Linear)
    matrix = np.abs(linear.matrix)
    expected = 0.5 * found.errors["linear"] * (2 * matrix[2] + matrix[4])
    expected[2] += 2.0 * found.errors["own"] * 5
    expected[4] += 2.0 * found.errors["own"] * 1
    bound = found.bound(histories_of(events, [DAY]))[0]
    assert (bound >= expected).all()
    np.testing.assert_allclose(bound, expected, atol=3e-5)


def test_nothing_read_is_not_off() -> None:
    for scale in ("raw", "standard"):
        found = compiled(model_of({"kind": "own", "forgetting": CURVES[2], "scale": scale}), 4)
        assert not found.bound(histories_of([(1, 1.0, 10.0)], [5.0])).any()


def test_an_age_that_was_not_compiled_for_is_measured() -> None:
    """Half gone after a second: what the fit from a minute on knows nothing of."""
    exact = model_of({"kind": "own", "forgetting": {"family": "hyperbolic", "tau": 1 / DAY}})
    found = compiled(exact, 2, {"time": (1.0, 100.0)})
    histories = histories_of([(1, 1.0, 0.0)], [1.0, 10.0])
    off = np.abs(found.model.score(histories) - exact.score(histories))
    assert off.max() > 2 * found.errors["own"]
    assert (off <= found.bound(histories)).all()


def test_only_curves_change() -> None:
    found = everything()
    assert set(found.errors) == {"own", "linear", "shared"}
    assert found.model.settings == found.exact.settings
    assert found.model.encoders[0] is found.exact.encoders[0]
    assert found.model.encoders[5] is found.exact.encoders[5]
    assert found.exact.encoders[1].forgetting.family == "power"
    assert found.model.encoders[2].forgetting is found.model.encoders[3].forgetting


def test_what_is_saved_is_the_exact_model(tmp_path: Path) -> None:
    term = {"kind": "own", "forgetting": {"family": "exponential", "half_life": 5.0, "learn": True}}
    exact = model_of(term)
    exact.encoders[0].load({"forgetting.half_life": np.array([2.0])})
    compiled(exact).model.save(tmp_path)
    assert Model.load(tmp_path).encoders[0].forgetting == FAMILIES["exponential"](half_life=2.0)


@pytest.mark.parametrize("scope", ["event_type", "category", "user"])
def test_curves_of_groups_are_refused(scope: str) -> None:
    scoped = {"kind": "own", "name": "habit", "forgetting": {**CURVES[1], "scope": scope, "learn": True}}
    with pytest.raises(ValueError, match=rf"`habit` has a curve for each {scope}.*`scope: all`"):
        compiled(model_of(scoped))
    assert not compiled(model_of({**scoped, "weight": 0}, {"kind": "trend"})).errors


# A user's state


@pytest.mark.parametrize("curve", [*CURVES, ROUGH[0]], ids=str)
@pytest.mark.parametrize("scale", ["raw", "standard"])
def test_a_state_scores_as_the_history_does(curve: dict[str, Any], scale: str) -> None:
    found = compiled(
        model_of(
            {"kind": "trend", "weight": 0.3},
            {"kind": "own", "weight": 0.7, "weights": True, "forgetting": curve, "scale": scale},
            {"kind": "linear", "weight": 0.2, "forgetting": curve, "scale": scale},
        ),
        5,
    )
    for seed in range(3):
        events = stream(seed)
        asked = moments_of(events)
        expected = found.model.score(histories_of(events, asked))
        size = np.maximum(1, np.abs(expected).max(1, keepdims=True))
        assert (np.abs(replayed(found, events, asked) - expected) <= 1e-6 * size).all()


@pytest.mark.parametrize(
    "forgetting",
    [
        None,
        {"family": "exponential", "half_life": 3.0, "learn": True},
        {"family": "floor", "clock": "moments", "floor": 0.2, "of": {"family": "geometric", "rate": 0.8}},
        {"family": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize("ages", [True, False])
def test_a_bank_scores_as_the_history_does(forgetting: dict[str, Any] | None, ages: bool) -> None:
    term = {**BANK, "ages": ages}
    found = compiled(model_of(term if forgetting is None else {**term, "forgetting": forgetting}))
    for seed in range(3):
        events = stream(seed)
        asked = [events[0][2], *moments_of(events)]  # before anything came, too
        expected = found.model.score(histories_of(events, asked))
        assert np.ptp(expected, axis=0).max() > 0.1
        np.testing.assert_allclose(replayed(found, events, asked), expected, rtol=0, atol=1e-4)


def test_a_bank_reads_more_than_max_history() -> None:
    short = compiled(model_of({**BANK, "max_history": 5}))
    long = compiled(model_of(BANK))
    events = stream(1)
    asked = moments_of(events)
    histories = histories_of(events, asked)
    state = replayed(short, events, asked)
    np.testing.assert_allclose(state, long.model.score(histories), rtol=0, atol=1e-4)
    assert np.abs(state - short.model.score(histories)).max() > 1e-2


def test_all_terms_together() -> None:
    found = everything()
    for seed in range(5):
        events = stream(seed, 60)
        asked = moments_of(events)
        expected = found.model.score(histories_of(events, asked))
        np.testing.assert_allclose(replayed(found, events, asked), expected, rtol=0, atol=1e-4)


def test_terms_of_one_curve_share_a_memory() -> None:
    assert [name for *_, name in everything().served] == ["trend", "own", "linear", "linear", "recurrent"]


def test_a_saved_state_resumes_exactly(tmp_path: Path) -> None:
    found = everything()
    events = stream(4)
    for cut in (0, 1, 20):
        state = UserState(found)
        for event in events[:cut]:
            state.update(*event)
        save_file(state.to_arrays(), tmp_path / "state.safetensors")
        again = UserState.from_arrays(found, load_file(tmp_path / "state.safetensors"))
        for event in events[cut:]:
            state.update(*event)
            again.update(*event)
            assert np.array_equal(state.scores(event[2] + 1), again.scores(event[2] + 1))


def test_a_kept_state_is_a_copy() -> None:
    state = UserState(everything())
    state.update(1, 1.0, 10.0)
    kept = {name: array.copy() for name, array in state.to_arrays().items()}
    held = state.to_arrays()
    again = UserState.from_arrays(everything(), held)
    again.update(1, 1.0, 20.0)
    state.update(1, 1.0, 20.0)
    assert all(np.array_equal(held[name], array) for name, array in kept.items())


def test_size_does_not_grow_with_events() -> None:
    found = everything()
    state = UserState(found)
    sizes = []
    for turn in range(200):
        for column in range(ITEMS):
            state.update(column, 1.0, 1e9 + turn * 3600.0 + column)
        sizes.append(state.nbytes)
    assert len(set(sizes)) == 1
    assert sizes[0] > UserState(found).nbytes


def test_an_event_touches_the_states_of_its_item_alone() -> None:
    """The work of an update: a row of each profile and the states of the bank, after ten events as after a thousand."""
    state = UserState(everything())
    rng = np.random.default_rng(0)
    counts = []
    for number in range(1000):
        before = state.to_arrays()
        state.update(int(rng.integers(ITEMS)), 1.0, 1e9 + 60.0 * number)
        if number in (100, 999):
            after = state.to_arrays()
            assert {name: array.shape for name, array in after.items()} == {
                name: array.shape for name, array in before.items()
            }
            rows = {
                name: int((after[name] != array).any(1).sum())
                for name, array in before.items()
                if array.ndim == 2
            }
            assert rows.pop("recurrent.sums") == len(before["recurrent.sums"])
            assert set(rows.values()) == {1}
            counts.append(rows)
    assert counts[0] == counts[1]


# What is refused


def test_an_event_of_the_same_second_is_no_history() -> None:
    state = UserState(everything())
    state.scores(10.0)  # nothing came yet
    state.update(1, 1.0, 10.0)
    for at in (10.0, 9.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="after the latest event"):
            state.scores(at)
    state.update(2, 1.0, 10.0)
    assert state.moment == 1
    state.scores(10.5)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ((ITEMS, 1.0, 20.0), "`-1 <= column < 7`"),
        ((-2, 1.0, 20.0), "but got -2"),
        ((0, -1.0, 20.0), "`weight`"),
        ((0, float("nan"), 20.0), "`weight`"),
        ((0, 1.0, 9.0), "order of time"),
        ((0, 1.0, float("nan")), "order of time"),
    ],
)
def test_wrong_events_are_refused_and_change_nothing(event: tuple[int, float, float], message: str) -> None:
    state = UserState(everything())
    state.update(1, 1.0, 10.0)
    before = state.scores(30.0)
    with pytest.raises(ValueError, match=message):
        state.update(*event)
    assert np.array_equal(state.scores(30.0), before)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ({"kind": "mlp", "name": "deep", "dim": 4}, "`deep` of the kind `mlp`.*take one of"),
        ({"kind": "transformer", "dim": 4, "heads": 2}, "`transformer` of the kind"),
        ({**BANK, "own": {"age": True}}, "`recurrent` adds learned retention.*train it without `own`"),
    ],
)
def test_terms_without_a_state_are_refused(term: dict[str, Any], message: str) -> None:
    found = compiled(model_of({"kind": "own", "forgetting": CURVES[2]}, term))
    assert found.model.score(histories_of([(1, 1.0, 0.0)], [DAY])).shape == (1, ITEMS)
    with pytest.raises(ValueError, match=message):
        UserState(found)
    assert UserState(compiled(model_of({"kind": "own"}, {**term, "weight": 0})))


def test_states_of_other_models_are_refused() -> None:
    own = {"kind": "own", "forgetting": CURVES[2]}
    held = UserState(compiled(model_of(own), 4)).to_arrays()
    with pytest.raises(ValueError, match="replay the user's events"):
        UserState.from_arrays(compiled(model_of(own), 6), held)
    with pytest.raises(ValueError, match=r"must be .* replay the user's events"):
        UserState.from_arrays(compiled(model_of({**own, "name": "other"}), 4), held)
