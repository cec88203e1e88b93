"""Attention that forgets, the slow way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.neural import logits, neural, whole
from trainers.forgetting import ForgettingSettings, build
from trainers.networks.attention import Attention, Reading, mix
from trainers.networks.attention import Transformer as Network
from trainers.networks.retention import Retention
from trainers.sequences import NEVER

DIM = 6
POWER: dict[str, Any] = {"family": "power", "tau": 3.0, "exponent": 0.7}
HEADS: dict[str, Any] = {**POWER, "learn": True, "scope": "head"}
HORIZON: dict[str, Any] = {"family": "linear", "horizon": 5.0}


def attention(heads: int, **forgetting: Any) -> Attention:
    torch.manual_seed(0)
    found = Attention(DIM, heads, Retention(ForgettingSettings.model_validate(forgetting), heads))
    assert found.position is not None
    with torch.no_grad():
        for line in found.position:
            for parameter in line.parameters():
                parameter.copy_(torch.randn_like(parameter))
    return found.eval()


def heard(layer: Attention, given: dict[str, torch.Tensor]) -> torch.Tensor:
    hears = given["may"].any(2, keepdim=True).float()
    reading = Reading(given["later"].int(), given["may"], given["days"], hears=hears)
    answer: torch.Tensor = layer(given["askers"], given["events"], reading)
    return answer


def inputs(seed: int = 1) -> dict[str, torch.Tensor]:
    """Two windows of four askers and five events; some may read nothing, and the ages are of all sizes."""
    torch.manual_seed(seed)
    may = torch.rand(2, 4, 5) < 0.6
    may[0, 2] = False
    return {
        "askers": torch.randn(2, 4, DIM),
        "events": torch.randn(2, 5, DIM),
        "days": torch.rand(2, 4, 5) * 9,
        "later": torch.randint(0, 40, (2, 4, 5)).float(),
        "may": may,
    }


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("forgetting", [POWER, HEADS, {"family": "none"}], ids=["one", "each", "none"])
def test_attention_against_a_double_loop(forgetting: dict[str, Any], heads: int) -> None:
    layer, given = attention(heads, **forgetting), inputs()
    size = DIM // heads
    log_kept = layer.retention(given["days"], given["later"])
    assert layer.position is not None
    expected = torch.zeros(2, 4, DIM)
    for b in range(2):
        for asker in range(4):
            readable = given["may"][b, asker].nonzero().flatten().tolist()
            for head in range(heads) if readable else ():
                part = slice(head * size, (head + 1) * size)
                values = slice(DIM + head * size, DIM + (head + 1) * size)
                q = layer.ask(given["askers"][b, asker])[part]
                scores = []
                for event in readable:
                    rank = torch.log2(1 + given["later"][b, asker, event])
                    score = q @ layer.read(given["events"][b, event])[part] / math.sqrt(size)
                    kept = log_kept[head if len(log_kept) > 1 else 0, b, asker, event]
                    scores.append(score + kept + layer.position[head](rank))
                shares = torch.softmax(torch.stack(scores), 0)
                for share, event in zip(shares, readable, strict=True):
                    expected[b, asker, part] += (
                        share * layer.read(given["events"][b, event])[values]
                    ).detach()
    torch.testing.assert_close(heard(layer, given), layer.out(expected), rtol=1e-4, atol=1e-5)


def test_mixing_is_a_softmax_in_bits_and_so_are_its_gradients() -> None:
    """What may not be read has no weight and no gradient."""
    torch.manual_seed(5)
    q, k, v, bias = (
        torch.randn(3, *shape, dtype=torch.float64, requires_grad=True)
        for shape in ((4, 2), (5, 2), (5, 2), (4, 5))
    )
    hidden = torch.zeros(3, 4, 5, dtype=torch.float64)
    hidden[1, :, 2] = NEVER
    bits = torch.bmm(q, k.transpose(1, 2)) + bias + hidden
    expected = torch.bmm(torch.softmax(bits * math.log(2), 2), v)
    found = mix(q, k, v, bias + hidden)
    torch.testing.assert_close(found, expected)
    side = torch.randn_like(found)
    of_found = torch.autograd.grad(found, (q, k, v, bias), side)
    for one, other in zip(of_found, torch.autograd.grad(expected, (q, k, v, bias), side), strict=True):
        torch.testing.assert_close(one, other)
    assert (of_found[-1][1, :, 2] == 0).all()


def test_one_who_may_read_nothing_hears_nothing() -> None:
    layer, given = attention(2, **POWER), inputs()
    torch.testing.assert_close(heard(layer, given)[0, 2], layer.out.bias)


def test_what_is_forgotten_has_no_weight() -> None:
    """Beyond the horizon nothing is left of an event: whatever it says, it is not heard."""
    layer, given = attention(2, **HORIZON), inputs()
    given["may"][:] = True
    given["days"][:] = 1.0
    given["days"][:, :, 3] = 5.5
    before = heard(layer, given)
    louder = given["events"].clone()
    louder[:, 3] = 30.0
    torch.testing.assert_close(heard(layer, {**given, "events": louder}), before, rtol=0, atol=0)
    given["days"][:, :, 3] = 4.5
    assert not torch.allclose(heard(layer, {**given, "events": louder}), before, atol=1e-2)


def test_a_weight_falls_with_what_is_left() -> None:
    """Two events that are alike in all but age are heard by their retention."""
    torch.manual_seed(3)
    layer = attention(1, **POWER)
    event = torch.randn(DIM)
    other = torch.randn(DIM)
    events = torch.stack((event, other))[None]
    with torch.no_grad():
        layer.read.weight[:DIM] = 0  # all keys are alike
    days, later = torch.tensor([[[1.0, 9.0]]]), torch.zeros(1, 1, 2, dtype=torch.int32)
    reading = Reading(later, torch.ones(1, 1, 2, dtype=torch.bool), days)
    found = layer(torch.randn(1, 1, DIM), events, reading)[0, 0]
    kept = build(ForgettingSettings.model_validate(POWER)).at(np.array([1.0, 9.0]))
    share = kept / kept.sum()
    values = layer.read(events)[0, :, DIM:]
    torch.testing.assert_close(found, layer.out(share[0].item() * values[0] + share[1].item() * values[1]))


def test_attention_has_gradients_for_its_curves() -> None:
    layer = attention(2, **HEADS)
    torch.autograd.backward(heard(layer, inputs()).square().sum())
    assert layer.position is not None
    for parameter in [*layer.retention.parameters(), *layer.position.parameters()]:
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_events_read_those_of_earlier_moments_and_themselves(blocks: int) -> None:
    """The blocks before the last are computed for the events, which hear of nothing that comes with or after them."""
    log = helpers.packed([[(0, 0), (1, 1), (1, 2), (2, 3), (4, 4)]])
    batch = whole(log, helpers.training(log).moments(), np.arange(5, dtype=np.int32), 9)
    encoder = neural("transformer", 5, blocks=blocks)
    assert isinstance(encoder.module, Network)
    seen: list[torch.Tensor] = []
    for block in encoder.module.blocks:
        block.register_forward_pre_hook(lambda _, given: seen.append(given[2].may[0]))
    logits(encoder, batch)
    first, *_, last = [*seen, seen[-1]]
    assert last.tolist() == batch.visible[0].tolist()
    if blocks > 1:
        assert first.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]]


def test_a_moment_asks_for_what_a_later_event_would_hear() -> None:
    """The age of an event in later moments is the same for the moment that asks and for the event that is taken then:
    with one block read by events and one by moments, both hear it at the same ages."""
    log = helpers.packed([[(0, 0), (1, 1), (2, 2), (5, 0)]])
    batch = whole(log, helpers.training(log).moments(), np.arange(3, dtype=np.int32), 9)
    encoder = neural("transformer", 3, forgetting=POWER)
    assert isinstance(encoder.module, Network)
    ages: list[tuple[torch.Tensor, torch.Tensor]] = []
    for block in encoder.module.blocks:
        block.register_forward_pre_hook(lambda _, given: ages.append((given[2].days[0], given[2].later[0])))
    logits(encoder, batch)
    (days_of_events, later_of_events), (days, later) = ages
    visible = batch.visible[0, :2]
    assert later_of_events[1:3][visible].tolist() == later[:2][visible].tolist() == [0, 1, 0]
    assert days_of_events[1:3][visible].tolist() == days[:2][visible].tolist() == [1, 2, 1]
