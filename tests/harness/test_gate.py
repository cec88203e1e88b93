"""The gate: each rule alone keeps a candidate out, and the reasons say which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from evaluators import Evaluation, Queries, evaluate, paired, resolve
from harness.gate import decide
from harness.settings import GateSettings
from tests.harness.conftest import an_audit

QUERIES, USERS, ITEMS = 300, 60, 20
OWNER = np.arange(QUERIES) % USERS
METRICS = resolve(("ndcg@1", "coverage@2"), ())


def answered(hit: npt.NDArray[np.bool_], *, wide: bool = True) -> Evaluation:
    """A model that puts the one right item first where it hits, and shows all items beside (`wide`) or one of them."""
    number = np.arange(QUERIES)
    right, beside = number % 10, 10 + (number % 10 if wide else 0 * number)
    scores = np.zeros((QUERIES, ITEMS))
    scores[number, beside] = 1.0
    scores[number, right] = np.where(hit, 2.0, -1.0)
    begin = np.zeros(QUERIES, np.int64)
    queries = Queries(
        OWNER,
        number.astype(np.float64) + 1,
        begin,
        begin + 1,
        np.arange(QUERIES + 1),
        right.astype(np.int32),
    )
    return evaluate([(slice(0, QUERIES), scores)], queries, METRICS)


def judged(share: float, *, wide: bool = True) -> Evaluation:
    """It hits the same share of every user's queries."""
    return answered((np.arange(QUERIES) // USERS) < share * QUERIES / USERS, wide=wide)


def noisy(share: float, seed: int) -> Evaluation:
    """It hits queries drawn at random."""
    return answered(np.random.default_rng(seed).random(QUERIES) < share)


def test_a_better_candidate_is_promoted_with_its_figures() -> None:
    candidate, other = judged(0.6), judged(0.4)
    decision = decide(
        GateSettings(), "ndcg@1", candidate, other, OWNER, against="champion v3", audit=an_audit()
    )
    assert decision.promoted
    assert decision.difference == pytest.approx(0.2)
    assert decision.low > 0
    assert decision.reasons[0] == (
        "the 95% interval of ndcg@1 over champion v3, +0.2000 [+0.2000, +0.2000], is above 0"
    )
    assert decision.reasons[1].startswith("coverage@2 1.000 is at or above 0.800")
    told = decision.to_dict()
    assert (told["against"], told["metric"], told["promoted"]) == ("champion v3", "ndcg@1", True)
    assert isinstance(told["reasons"], list)


def test_an_interval_that_touches_zero_is_not_enough() -> None:
    candidate, other = noisy(0.44, 1), noisy(0.40, 2)
    found = paired(candidate.values["ndcg@1"], other.values["ndcg@1"], OWNER)
    assert found.difference > 0 > found.low  # what this test is about
    decision = decide(GateSettings(), "ndcg@1", candidate, other, OWNER, against="none", audit=an_audit())
    assert not decision.promoted
    assert (decision.difference, decision.low) == (found.difference, found.low)
    assert "is not above 0" in decision.reasons[0]
    assert "over none" in decision.reasons[0]


def test_the_same_model_is_not_promoted_over_itself() -> None:
    same = judged(0.5)
    assert not decide(
        GateSettings(), "ndcg@1", same, same, OWNER, against="champion v1", audit=an_audit()
    ).promoted


@pytest.mark.parametrize(("margin", "promoted"), [(0.19, True), (0.21, False)])
def test_the_interval_must_be_above_the_margin(margin: float, promoted: bool) -> None:
    decision = decide(
        GateSettings(margin=margin),
        "ndcg@1",
        judged(0.6),
        judged(0.4),
        OWNER,
        against="none",
        audit=an_audit(),
    )
    assert decision.promoted is promoted
    assert decision.reasons[0].endswith(f"is above {margin}" if promoted else f"is not above {margin}")


def test_a_wider_level_is_a_stricter_gate() -> None:
    candidate, other = noisy(0.5, 5), noisy(0.4, 2)
    widths = []
    for level in (0.5, 0.999):
        gate = GateSettings(level=level)
        decision = decide(gate, "ndcg@1", candidate, other, OWNER, against="none", audit=an_audit())
        widths.append(decision.high - decision.low)
    assert widths[0] < widths[1]


@pytest.mark.parametrize(("loss", "promoted"), [(0.2, False), (0.44, False), (0.46, True)])
def test_coverage_that_is_lost_keeps_a_candidate_out(loss: float, promoted: bool) -> None:
    """It shows 11 of 20 items, the other all: 45 % of the coverage is lost."""
    candidate, other = judged(0.6, wide=False), judged(0.4)
    assert candidate.means()["coverage@2"] == pytest.approx(0.55)
    gate = GateSettings(coverage_loss=loss)
    decision = decide(gate, "ndcg@1", candidate, other, OWNER, against="none", audit=an_audit())
    assert decision.promoted is promoted
    assert ("coverage@2 0.550 is not at or above" in decision.reasons[1]) is not promoted
    assert "is above 0" in decision.reasons[0]


def test_a_split_that_leaks_decides_nothing() -> None:
    audit = an_audit(leaks=True)
    decision = decide(GateSettings(), "ndcg@1", judged(0.6), judged(0.4), OWNER, against="none", audit=audit)
    assert not decision.promoted
    assert decision.reasons[-1] == f"no decision is taken on a split that leaks: {audit.verdict}"


def test_a_champion_that_saw_the_test_period_cannot_be_replaced_on_it() -> None:
    decision = decide(
        GateSettings(),
        "ndcg@1",
        judged(0.6),
        judged(0.4),
        OWNER,
        against="champion v2",
        audit=an_audit(),
        saw_test="champion v2 was trained on events of the test period",
    )
    assert not decision.promoted
    assert decision.reasons[-1] == "champion v2 was trained on events of the test period"
