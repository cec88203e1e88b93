"""States that decay between moments, one moment after the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers import helpers
from tests.trainers.neural import logits, neural, scored, whole
from trainers.forgetting import build
from trainers.log import DAY, PackedLog, Queries
from trainers.networks.gated import Gated

ITEMS = 9
LOG = helpers.crowded(3, users=8, most=20)
POWER: dict[str, Any] = {"family": "power", "tau": 3.0, "exponent": 0.7}
STEPS: dict[str, Any] = {"family": "geometric", "clock": "moments", "rate": 0.6}
BOTH: dict[str, Any] = {**POWER, "clock": "both", "moments": {"family": "geometric", "rate": 0.6}}
NONE: dict[str, Any] = {"family": "none"}


def slowly(encoder: Any, log: PackedLog, queries: Queries, column: Any) -> torch.Tensor:
    """[Q, I] each history read moment by moment."""
    module = encoder.module
    assert isinstance(module, Gated)
    curve = build(encoder.settings.forgetting)
    answers = []
    for query in range(len(queries)):
        rows = range(int(queries.begin[query]), int(queries.end[query]))
        numbers = {
            float(time): number for number, time in enumerate(sorted({log.times[row] for row in rows}))
        }
        known = [row for row in rows if column[log.items[row]] >= 0]
        hidden = memory = torch.zeros(1, module.dim)
        before: float | None = None

        def left(now: float, number: int, before: float, numbers: dict[float, int] = numbers) -> float:
            passed = np.array([float(number - numbers[before])])
            return float(curve.retention(np.array([(now - before) / DAY]), passed)[0])

        for time in sorted({float(log.times[row]) for row in known}):
            items = torch.tensor([int(column[log.items[row]]) for row in known if log.times[row] == time])
            since = 0.0 if before is None else (time - before) / DAY
            kept = 1.0 if before is None else left(time, numbers[time], before)
            mean = module.embedding.weight[items].mean(0)
            given = torch.cat((mean, torch.tensor([0.2 * math.log(since + 1 / 1440)])))[None]
            if isinstance(module.cell, torch.nn.LSTMCell):
                hidden, memory = module.cell(given, (hidden * kept, memory * kept))
            else:
                hidden = module.cell(given, hidden * kept)
            before = time
        now = float(queries.time[query])
        since = 1e4 if before is None else (now - before) / DAY
        kept = 1.0 if before is None else left(now, len(numbers) - 1, before)
        felt = torch.tensor([0.2 * math.log(since + 1 / 1440)])
        interest = module.out(torch.cat((hidden[0] * kept, felt)))
        answers.append(module.embedding.weight @ interest + module.bias)
    return torch.stack(answers).detach()


@pytest.mark.parametrize("strangers", [False, True], ids=["known", "strangers"])
@pytest.mark.parametrize("forgetting", [NONE, POWER, STEPS, BOTH], ids=["none", "days", "moments", "both"])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_states_against_a_loop(kind: str, forgetting: dict[str, Any], strangers: bool) -> None:
    """In a window, and from a history alone. An item that is not known says nothing, but its moment passes."""
    encoder = neural(kind, ITEMS, forgetting=forgetting, max_history=50)
    column = np.arange(ITEMS, dtype=np.int32)
    if strangers:
        column[5:] = -1
    queries = helpers.training(LOG).moments()
    expected = slowly(encoder, LOG, queries, column)
    answered = logits(encoder, whole(LOG, queries, column, 50))
    torch.testing.assert_close(answered, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(scored(encoder, LOG, queries, column), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_of_a_state_that_is_forgotten_nothing_is_left(kind: str) -> None:
    """A day ends it: what was before does not matter, and neither does anything once a day has passed."""
    encoder = neural(kind, ITEMS, forgetting={"family": "linear", "horizon": 1.0})
    column = np.arange(ITEMS, dtype=np.int32)
    logs = [
        helpers.packed([[(0, first), (2, second), (2.5, 0), (4, 0)]], ITEMS)
        for first in (1, 2)
        for second in (3, 4)
    ]
    answers = [logits(encoder, whole(log, helpers.training(log).moments(), column, 9)) for log in logs]
    same_first, same_second = answers[0] - answers[1], answers[0] - answers[2]
    assert same_second.abs().amax(1).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    far = same_first.abs().amax(1).tolist()
    assert far[1] > 1e-3
    assert [far[0], far[2]] == pytest.approx([0, 0], abs=1e-6)
