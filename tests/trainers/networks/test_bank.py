"""A bank of decaying states, the slow way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.trainers import helpers
from tests.trainers.neural import logits, neural, whole
from trainers.encoders import Neural
from trainers.encoders.recurrent import BANK
from trainers.forgetting import ForgettingSettings, build
from trainers.log import DAY, PackedLog, Queries
from trainers.networks.bank import Bank, Decay

ITEMS = 9
COLUMN = np.arange(ITEMS, dtype=np.int32)
LOG = helpers.crowded(3, users=6, most=20)
LN2 = math.log(2)
MIXTURE: dict[str, Any] = {"family": "mixture", "half_lives": (0.5, 4.0), "shares": (0.25, 0.75)}
STEPS: dict[str, Any] = {"family": "geometric", "clock": "moments", "rate": 0.8}
BOTH: dict[str, Any] = {**MIXTURE, "clock": "both", "moments": {"family": "geometric", "rate": 0.8}}


def bank(forgetting: dict[str, Any] | None = None, **changes: Any) -> tuple[Neural, Bank]:
    chosen: dict[str, Any] = {"forgetting": forgetting} if forgetting else {}
    encoder = neural("recurrent", ITEMS, **chosen, **changes)
    assert isinstance(encoder.module, Bank)
    return encoder, encoder.module


def slowly(module: Bank, log: PackedLog, queries: Queries, most: int) -> torch.Tensor:
    """[Q, I] every state of every moment summed event by event."""
    rates = [
        (on, rate) for on, d in ((0, module.days), (1, module.moments)) if d for rate in d.rates().tolist()
    ]
    answers = []
    for query in range(len(queries)):
        begin, end = int(queries.begin[query]), int(queries.end[query])
        times = log.times[begin:end]
        ages = [
            ((queries.time[query] - log.times[row]) / DAY, len(set(times[times > log.times[row]])))
            for row in range(max(begin, end - most), end)
        ]
        embedded = module.embedding.weight[torch.from_numpy(log.items[max(begin, end - most) : end]).long()]
        states, log_masses = [], []
        for on, rate in rates:
            kept = torch.tensor([math.exp(-rate * age[on]) for age in ages])
            states.append((kept[:, None] * embedded).sum(0) / (kept.sum() + 1e-6).sqrt())
            log_masses.append(torch.log(kept.sum() + 1e-4))
        felt = [*log_masses, math.log(min(age[0] for age in ages) + 1 / 1440), math.log1p(len(ages))]
        gates = module.gate + module.felt(0.2 * torch.tensor(felt))
        mixed = module.mix(torch.cat([gate * state for gate, state in zip(gates, states, strict=True)]))
        answers.append(module.embedding.weight @ (mixed + module.inner(mixed)) + module.bias)
    return torch.stack(answers).detach()


@pytest.mark.parametrize("most", [50, 4])
@pytest.mark.parametrize("forgetting", [None, MIXTURE, STEPS, BOTH, {"family": "none"}], ids=str)
def test_states_against_a_double_loop(forgetting: dict[str, Any] | None, most: int) -> None:
    encoder, module = bank(forgetting, max_history=most)
    queries = helpers.training(LOG).moments()
    answered = logits(encoder, whole(LOG, queries, COLUMN, most))
    torch.testing.assert_close(answered, slowly(module, LOG, queries, most), rtol=1e-3, atol=1e-4)


def decays(module: Bank) -> list[list[float] | None]:
    return [None if d is None else d.rates().tolist() for d in (module.days, module.moments)]


def test_each_clock_has_the_states_of_its_curve() -> None:
    assert decays(bank(MIXTURE, stirred=False)[1])[0] == pytest.approx([LN2 / 0.5, LN2 / 4])
    assert decays(bank(MIXTURE, stirred=False)[1])[1] is None
    assert decays(bank(STEPS, stirred=False)[1])[0] is None
    assert decays(bank(STEPS, stirred=False)[1])[1] == pytest.approx([-math.log(0.8)])
    days, moments = decays(bank(BOTH, stirred=False)[1])
    assert days == pytest.approx([LN2 / 0.5, LN2 / 4])
    assert moments == pytest.approx([-math.log(0.8)])
    days, moments = decays(bank(stirred=False)[1])
    assert BANK.half_lives is not None
    assert BANK.moments is not None
    assert BANK.moments.half_lives is not None
    assert days == pytest.approx([LN2 / half_life for half_life in BANK.half_lives])
    assert moments == pytest.approx([LN2 / half_life for half_life in BANK.moments.half_lives])


def test_gates_begin_at_the_shares() -> None:
    """One on average on each clock, and nothing that is felt moves them yet."""
    _, module = bank(BOTH, stirred=False)
    assert module.gate.tolist() == pytest.approx([0.5, 1.5, 1.0])
    assert module.felt(torch.randn(5, 5)).abs().max() == 0


def rates(learned: bool, **values: Any) -> Decay:
    return Decay(build(ForgettingSettings.model_validate(values)), learned)


def test_rates_are_learned_where_asked() -> None:
    moved, fixed = rates(True, **MIXTURE), rates(False, **MIXTURE)
    assert [tuple(each.shape) for each in moved.parameters()] == [(2,)]
    assert list(fixed.parameters()) == []
    assert moved.rates().tolist() == pytest.approx(fixed.rates().tolist())
    torch.autograd.backward(moved.rates().sum())
    [parameter] = moved.parameters()
    assert parameter.grad is not None
    assert parameter.grad.tolist() == pytest.approx(fixed.rates().tolist())  # of e^x


def test_a_floor_never_learns_to_decay() -> None:
    floor = rates(True, family="floor", floor=0.1, of=MIXTURE)
    assert floor.rates().tolist() == pytest.approx([0, LN2 / 0.5, LN2 / 4])
    assert floor.start.tolist() == pytest.approx([0.1, 0.225, 0.675])
    [parameter] = floor.parameters()
    with torch.no_grad():
        parameter.add_(LN2)
    assert floor.rates().tolist() == pytest.approx([0, 2 * LN2 / 0.5, 2 * LN2 / 4])
    assert list(rates(True, family="none").parameters()) == []
    assert rates(True, family="none").rates().tolist() == [0]


LEARNED: list[tuple[dict[str, Any], Any, set[str]]] = [
    (BOTH, False, set()),
    (BOTH, True, {"days.log_rate", "moments.log_rate"}),
    (BOTH, ("half_lives",), {"days.log_rate"}),
    (BOTH, ("moments.rate",), {"moments.log_rate"}),
    (STEPS, ("rate",), {"moments.log_rate"}),
    ({"family": "floor", "floor": 0.2, "of": MIXTURE}, ("of.half_lives",), {"days.log_rate"}),
]


@pytest.mark.parametrize(("forgetting", "learn", "expected"), LEARNED)
def test_only_the_rates_that_are_named_are_learned(
    forgetting: dict[str, Any], learn: Any, expected: set[str]
) -> None:
    _, module = bank({**forgetting, "learn": learn})
    assert {name for name, _ in module.named_parameters() if name.endswith("log_rate")} == expected


@pytest.mark.parametrize(
    "curve", [BOTH, {"family": "floor", "floor": 0.2, "of": MIXTURE}], ids=["shares", "floor"]
)
def test_what_no_state_learns_is_not_asked_for(curve: dict[str, Any], request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    with pytest.raises(ValidationError, match=rf"must name how fast states decay .* but got '{name}'"):
        bank({**curve, "learn": [name]})


def test_a_curve_that_is_no_sum_of_exponentials_is_refused() -> None:
    with pytest.raises(ValueError, match="`power` is no sum of exponentials"):
        rates(False, family="power", tau=1.0, exponent=1.0)


def test_each_state_has_a_curve() -> None:
    floor = rates(True, family="floor", floor=0.1, of=MIXTURE)
    with torch.no_grad():
        floor.log_rate.add_(LN2)
    assert [curve.half_life for curve in floor.curves()] == pytest.approx([math.inf, 0.25, 2.0])
    _, module = bank(BOTH)
    found = module.curves()
    assert list(found) == [f"state {number}" for number in range(1, len(found) + 1)]
    assert {curve.clock for curve in found.values()} == {"time", "moments"}
