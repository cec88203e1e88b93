"""The gate: each rule alone keeps a candidate out, and the reasons say which."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import evaluators
from evaluators import Evaluation, Queries, evaluate, paired, resolve
from harness.data import Store
from harness.errors import ConfigurationError
from harness.gate.decision import Decision, decide
from harness.gate.segments import pairs
from harness.gate.settings import GateSettings
from harness.settings import load
from harness.splits import SplitSettings
from harness.stage import Stage
from harness.steps.judging import gate_metrics
from tests.harness.conftest import an_audit
from trainers.fitting.fits import fit_model
from trainers.model import ModelSettings

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


def gate(candidate: Evaluation, other: Evaluation, **settings: Any) -> Decision:
    """What the gate says by these settings; the arguments of `decide` among them are passed on."""
    asked: dict[str, Any] = {"against": "none", "audit": an_audit(), "trained_until": 0.0}
    asked |= {
        name: settings.pop(name) for name in (*asked, "segments", "saw_test", "now") if name in settings
    }
    return decide(GateSettings(**settings), "ndcg@1", candidate, other, **asked)


def test_a_better_candidate_is_promoted_with_its_figures() -> None:
    decision = gate(judged(0.6), judged(0.4), against="champion v3")
    assert decision.promoted
    assert decision.difference == pytest.approx(0.2)
    assert decision.low > 0
    assert decision.reasons[0] == (
        "the 95% interval of ndcg@1 over champion v3, +0.2000 [+0.2000, +0.2000], is above 0"
    )
    assert decision.reasons[1].startswith("coverage@2 1.000 is at or above 0.800")
    told = decision.to_dict()
    assert (told["against"], told["metric"], told["promoted"]) == ("champion v3", "ndcg@1", True)
    assert told["reasons"] == list(decision.reasons)
    assert [check["rule"] for check in told["checks"]] == ["metric", "guardrail"]
    assert told["checks"][1]["figures"] == {
        "metric": "coverage@2", "mean": 1.0, "other": 1.0, "bound": pytest.approx(0.8)
    }  # fmt: skip


def test_an_interval_that_touches_zero_is_not_enough() -> None:
    candidate, other = noisy(0.44, 1), noisy(0.40, 2)
    found = paired(candidate.values["ndcg@1"], other.values["ndcg@1"], OWNER)
    assert found.difference > 0 > found.low  # what this test is about
    decision = gate(candidate, other)
    assert not decision.promoted
    assert (decision.difference, decision.low) == (found.difference, found.low)
    assert "is not above 0" in decision.reasons[0]
    assert "over none" in decision.reasons[0]


def test_the_same_model_is_not_promoted_over_itself() -> None:
    same = judged(0.5)
    assert not gate(same, same).promoted


@pytest.mark.parametrize(("margin", "promoted"), [(0.19, True), (0.21, False)])
def test_the_interval_must_be_above_the_margin(margin: float, promoted: bool) -> None:
    decision = gate(judged(0.6), judged(0.4), margin=margin)
    assert decision.promoted is promoted
    assert decision.reasons[0].endswith(f"is above {margin}" if promoted else f"is not above {margin}")


@pytest.mark.parametrize(("margin", "promoted"), [(0.19, False), (0.21, True)])
def test_no_worse_is_enough_where_that_is_asked(margin: float, promoted: bool) -> None:
    """It loses 0.2 in every user: the lower end is -0.2."""
    decision = gate(judged(0.4), judged(0.6), mode="non_inferiority", margin=margin)
    assert decision.promoted is promoted
    assert decision.reasons[0].endswith(f"is above -{margin}" if promoted else f"is not above -{margin}")
    assert not gate(judged(0.4), judged(0.6), margin=margin).promoted  # superiority


def test_what_no_better_asks_for_is_the_lower_end_and_not_the_mean() -> None:
    candidate, other = noisy(0.40, 1), noisy(0.40, 2)
    found = paired(candidate.values["ndcg@1"], other.values["ndcg@1"], OWNER)
    between = (abs(found.low) + max(0.0, -found.difference)) / 2
    assert found.low < -between < found.difference  # what this test is about
    assert not gate(candidate, other, mode="non_inferiority", margin=between).promoted
    assert gate(candidate, other, mode="non_inferiority", margin=abs(found.low) + 1e-6).promoted


def test_a_wider_level_is_a_stricter_gate() -> None:
    candidate, other = noisy(0.5, 5), noisy(0.4, 2)
    narrow, wide = (gate(candidate, other, level=level) for level in (0.5, 0.999))
    assert narrow.high - narrow.low < wide.high - wide.low


@pytest.mark.parametrize(("loss", "promoted"), [(0.2, False), (0.44, False), (0.46, True)])
def test_coverage_that_is_lost_keeps_a_candidate_out(loss: float, promoted: bool) -> None:
    """It shows 11 of 20 items, the other all: 45 % of the coverage is lost."""
    candidate, other = judged(0.6, wide=False), judged(0.4)
    assert candidate.means()["coverage@2"] == pytest.approx(0.55)
    for name in ("coverage", "coverage@2"):
        decision = gate(candidate, other, guardrails={name: loss})
        assert decision.promoted is promoted
        assert ("coverage@2 0.550 is not at or above" in decision.reasons[1]) is not promoted
        assert "is above 0" in decision.reasons[0]
    assert gate(candidate, other, guardrails={}).promoted


@pytest.mark.parametrize(("loss", "promoted"), [(0.2, False), (0.24, False), (0.26, True), (2.0, True)])
def test_where_lower_is_better_a_rise_is_the_loss(loss: float, promoted: bool) -> None:
    """The other's Gini index is 0.4, the candidate's 0.5: a quarter more."""
    even, uneven = with_gini(judged(0.4), 0.4), with_gini(judged(0.6), 0.5)
    decision = gate(uneven, even, guardrails={"gini": loss})
    assert decision.promoted is promoted
    said = (
        f"is at or below {0.4 * (1 + loss):.3f}" if promoted else f"is not at or below {0.4 * (1 + loss):.3f}"
    )
    assert decision.reasons[1] == f"gini@2 0.500 {said} (of 0.400)"
    fell = gate(with_gini(judged(0.6), 0.1), even, guardrails={"gini": 0})
    assert fell.promoted


class _Gini(evaluators.RunMetric):
    title, better = "gini@2", "lower"

    def __init__(self, figure: float) -> None:
        self.figure = figure

    def mean(self, answers: evaluators.Answers) -> float:
        return self.figure

    def deviation(self, answers: evaluators.Answers) -> float:
        return 0.0


def with_gini(evaluation: Evaluation, figure: float) -> Evaluation:
    return Evaluation(
        (*evaluation.metrics, _Gini(figure)), evaluation.standing, evaluation.answers, evaluation.values
    )


def test_a_guardrail_that_says_nothing_does_not_hold() -> None:
    decision = gate(
        with_gini(judged(0.6), float("nan")), with_gini(judged(0.4), 0.5), guardrails={"gini@2": 5}
    )
    assert not decision.promoted
    assert decision.reasons[1] == "gini@2 says nothing on these queries, so nothing guards it"


def halves(first: float, second: float) -> dict[str, Any]:
    """Two segments of 150 queries, in which the candidate hits other shares than the other model's half."""
    begin, end = np.arange(QUERIES) < 150, np.arange(QUERIES) >= 150
    return {
        "recency": {
            "<=1d": (judged(first).subset(begin), judged(0.6).subset(begin)),
            ">1d": (judged(second).subset(end), judged(0.6).subset(end)),
        }
    }


@pytest.mark.parametrize(("loss", "promoted"), [(0.19, False), (0.5, True)])
def test_no_segment_may_lose_more_than_allowed(loss: float, promoted: bool) -> None:
    """Every user has 5 queries in rounds of 60. At 0.4 the candidate hits rounds 0 and 1, the other 0 to 2: of the
    first 150 queries, it misses the 30 of the third round, one of each 3 or 2 of a user: -0.2."""
    segments = halves(0.4, 0.6)
    decision = gate(judged(0.6), judged(0.4), worst_segment={"recency": loss}, segments=segments)
    check = decision.checks[-1]
    assert (decision.promoted, check.passed) == (promoted, promoted)
    found = check.figures["segments"]["<=1d"]
    assert found["difference"] == pytest.approx(-0.2)
    assert found["low"] < -0.2  # it is the lower end that is asked
    assert check.figures["worst"] == "<=1d"
    assert set(check.figures["segments"]) == {"<=1d", ">1d"}
    assert "<=1d (150 queries), -0.2000 [" in check.sentence
    few = gate(
        judged(0.6), judged(0.4), worst_segment={"recency": loss}, segments=segments, segment_queries=151
    )
    assert few.promoted
    assert few.reasons[-1] == "no segment by recency has 151 queries"
    assert gate(judged(0.6), judged(0.4), segments=segments).promoted  # not asked for


@pytest.mark.parametrize(("days", "promoted"), [(9.9, False), (10.0, True), (None, True)])
def test_training_data_that_is_too_old_keeps_a_candidate_out(days: float | None, promoted: bool) -> None:
    decision = gate(
        judged(0.6), judged(0.4), freshness_days=days, trained_until=86_400.0 * 5, now=86_400.0 * 15
    )
    assert decision.promoted is promoted
    assert decision.decided == "1970-01-16T00:00:00+00:00"
    if days:
        said = "is" if promoted else "is not"
        assert decision.reasons[-1] == (
            f"the newest event of the training data, 10.0 days old, {said} within {days:g} days"
        )


def test_a_split_that_leaks_decides_nothing() -> None:
    audit = an_audit(leaks=True)
    decision = gate(judged(0.6), judged(0.4), audit=audit)
    assert not decision.promoted
    assert decision.reasons[-1] == f"no decision is taken on a split that leaks: {audit.verdict}"


def test_a_champion_that_saw_the_test_period_cannot_be_replaced_on_it() -> None:
    why = "champion v2 was trained on events of the test period"
    decision = gate(judged(0.6), judged(0.4), saw_test=why)
    assert not decision.promoted
    assert decision.reasons[-1] == why


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "non_inferiority"}, "needs a `margin` above 0"),
        ({"mode": "equality"}, "superiority"),
        ({"guardrails": {"coverege": 0.1}}, "did you mean 'coverage'"),
        ({"guardrails": {"item_age@5": 0.1}}, "a metric with a better direction, but got 'item_age@5'"),
        ({"guardrails": {"coverage": 1.5}}, "0 to 1 (above 1 only where lower is better)"),
        ({"guardrails": {"gini": -0.5}}, "but got {gini: -0.5}"),
        ({"worst_segment": {"recency": 0}}, "must be above 0, since no interval shows that nothing is lost"),
        ({"worst_segment": {"weather": 0.1}}, "recency"),
        ({"segment_queries": 0}, "greater than or equal to 1"),
        ({"freshness_days": 0}, "greater than 0"),
    ],
)
def test_settings_that_make_no_gate(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        GateSettings(**settings)


def test_the_segments_are_those_of_the_report(store: Store) -> None:
    """By name and size, and each model's mean in each."""
    stage = Stage.of(store, SplitSettings(), "test", True)
    models = [ModelSettings.model_validate({"terms": [{"kind": kind}]}) for kind in ("own", "trend")]
    own, trend = (
        stage.evaluate(fit_model(model, stage.training, repeats=True), ("ndcg", "coverage"), (10,))
        for model in models
    )
    kinds = ("recency", "history", "cold", "novelty", "popularity")
    found = pairs(stage, kinds, own, trend)
    arrays = stage.split, np.asarray(store.items), np.asarray(store.times)
    for number, evaluation in enumerate((own, trend)):
        told = evaluators.segments(evaluation, *arrays)
        assert {
            kind: {
                name: (len(pair[number]), pytest.approx(pair[number].means()["ndcg@10"]))
                for name, pair in parts.items()
            }
            for kind, parts in found.items()
        } == {
            kind: {
                name: (part["queries"], part["metrics"]["ndcg@10"]["mean"])
                for name, part in told[kind].items()
            }
            for kind in kinds
        }
    assert sum(map(len, found.values())) >= 8


@pytest.mark.parametrize(
    ("evaluated", "guardrails", "added"),
    [
        ("[ndcg, coverage]", "{coverage: 0.2}", []),
        ("[ndcg, coverage@7]", "{coverage: 0.2}", []),  # one at any cut-off is guarded
        ("[ndcg]", "{coverage: 0.2}", ["coverage@5"]),
        ("[ndcg]", "{gini@20: 0.2, mrr: 0.1}", ["gini@20", "mrr"]),
        ("[ndcg]", "{}", []),
    ],
)
def test_what_a_guardrail_needs_is_evaluated(
    config: Path, evaluated: str, guardrails: str, added: list[str]
) -> None:
    gate = f"registry.gate={{guardrails: {guardrails}}}"
    settings = load(config, [f"evaluate.metrics={evaluated}", gate])
    metrics, ks = gate_metrics(settings)
    assert (list(metrics[len(settings.evaluate.metrics) :]), ks) == (added, (5, 10))


def test_a_guardrail_without_its_data_is_refused(config: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'staleness@5' needs a half-life in days"):
        load(config, ["registry.gate={guardrails: {staleness: 0.1}}"])
