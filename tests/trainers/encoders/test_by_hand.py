"""What each encoder computes, worked out by hand or computed the slow way."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.trainers import helpers
from trainers.encoders import linear as linear_module
from trainers.encoders import neural as neural_module
from trainers.encoders.linear import Linear, LinearSettings
from trainers.encoders.mlp import Mlp, MlpSettings
from trainers.encoders.own import Own, OwnSettings
from trainers.encoders.trend import Trend, TrendSettings
from trainers.forgetting import ForgettingSettings, build
from trainers.histories import Histories
from trainers.log import DAY, TrainingData

DAYS = ForgettingSettings(family="exponential", half_life=2.0)
MOMENTS = ForgettingSettings(family="exponential", clock="moments", half_life=1.0)

LOG = helpers.packed(
    [
        [(0, 0, 1.0), (2, 1, 2.0), (2, 1, 3.0), (5, 2, 4.0), (30, 2)],
        [],
        [(4, 1, 5.0), (8, 0, 6.0)],
        [(20, 0)],
    ]
)


def popularity(**settings: Any) -> npt.NDArray[np.float64]:
    data = helpers.training(LOG, 10)
    trend = Trend(TrendSettings(**settings), 3)
    trend.solve(trend.statistics(data, slice(0, 4)))
    found: npt.NDArray[np.float64] = trend.popularity
    return found


def test_trend_by_hand_in_days() -> None:
    """Ages to day 8, the last training event: user 0 has 8, 6, 6, 3 days, user 2 has 4 and 0."""
    expected = np.array([2**-4 + 1, 2 * 2**-3 + 2**-2, 2**-1.5])
    np.testing.assert_allclose(popularity(forgetting=DAYS), expected / expected[0])


def test_trend_by_hand_in_moments() -> None:
    """Ages to the last training moment of each user: user 0 has 2, 1, 1, 0 moments, user 2 has 1 and 0."""
    expected = np.array([0.25 + 1, 0.5 + 0.5 + 0.5, 1.0])
    np.testing.assert_allclose(popularity(forgetting=MOMENTS), expected / 1.5)


def test_trend_counts_days_from_the_last_training_event() -> None:
    """Not from the cut: an exponential curve could not tell them apart, since it only scales."""
    hyperbolic = ForgettingSettings(family="hyperbolic", tau=1.0)
    expected = np.array([1 / 9 + 1, 2 / 7 + 1 / 5, 1 / 4])
    np.testing.assert_allclose(popularity(forgetting=hyperbolic), expected / expected[0])


def test_trend_by_hand_with_weights() -> None:
    np.testing.assert_allclose(popularity(weights=True), np.array([7, 10, 4]) / 10)
    np.testing.assert_allclose(popularity(), np.array([2, 3, 1]) / 3)
    expected = np.array([1 * 2**-4 + 6, 5 * 2**-3 + 5 * 2**-2, 4 * 2**-1.5])
    np.testing.assert_allclose(popularity(weights=True, forgetting=DAYS), expected / expected[0])


def test_trend_scores_every_moment_the_same() -> None:
    trend = Trend(TrendSettings(), 3)
    trend.load({"popularity": np.array([1.0, 0.25, 0.5])})
    queries = helpers.queries_of([(9 * DAY, 0, 4, []), (9 * DAY, 5, 5, [])])
    histories = Histories.of(LOG, queries, np.arange(3, dtype=np.int32), 3)
    assert trend.score(histories).tolist() == [[1.0, 0.25, 0.5]] * 2


def test_trend_of_ages_that_vanish_is_not_a_division_by_zero() -> None:
    trend = Trend(TrendSettings(), 2)
    trend.solve({"popularity": np.zeros(2)})
    assert trend.popularity.tolist() == [0.0, 0.0]


def test_own_by_hand() -> None:
    queries = helpers.queries_of([(8 * DAY, 0, 4, []), (9 * DAY, 5, 7, [])])
    histories = Histories.of(LOG, queries, np.arange(3, dtype=np.int32), 3)
    in_days = Own(OwnSettings(forgetting=DAYS), 3)
    in_moments = Own(OwnSettings(forgetting=MOMENTS, weights=True), 3)
    expected = [[2**-4, 2 * 2**-3, 2**-1.5], [2**-0.5, 2**-2.5, 0]]
    np.testing.assert_allclose(in_days.score(histories), expected, rtol=1e-6)
    assert in_moments.score(histories).tolist() == [[0.25, 2.5, 4], [6, 2.5, 0]]
    first = histories.take(slice(0, 1))
    assert in_moments.split(first, 1, 2.5).events.tolist() == [0, 1.0, 1.5, 0]


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return helpers.training(helpers.crowded(5, users=30), 15, validate=True)


def pairs(data: TrainingData) -> npt.NDArray[np.float64]:
    """X: each user-item pair of training once."""
    x = np.zeros((data.log.users, len(data.catalogue)))
    for user in range(data.log.users):
        for row in range(int(data.log.offsets[user]), int(data.stop[user])):
            x[user, data.column[data.log.items[row]]] = 1
    return x


def solved(settings: LinearSettings, data: TrainingData) -> Linear:
    encoder = Linear(settings, len(data.catalogue))
    encoder.solve(encoder.statistics(data, slice(0, data.log.users)))
    return encoder


def test_ease_counts_each_pair_once(data: TrainingData) -> None:
    gram = Linear(LinearSettings(), len(data.catalogue)).statistics(data, slice(0, data.log.users))["gram"]
    x = pairs(data)
    assert np.array_equal(gram, x.T @ x)


@pytest.mark.parametrize("l2", [0.3, 5.0, 500.0])
def test_ease_is_the_constrained_least_squares_solution(data: TrainingData, l2: float) -> None:
    """Column by column, from the definition: ridge regression on all other items, and zero on the item itself."""
    x = pairs(data)
    items = x.shape[1]
    matrix = solved(LinearSettings(l2=l2), data).matrix
    for column in range(items):
        others = [item for item in range(items) if item != column]
        left = x[:, others]
        best = np.linalg.solve(left.T @ left + l2 * np.eye(items - 1), left.T @ x[:, column])
        assert matrix[column, column] == 0
        np.testing.assert_allclose(matrix[others, column], best, rtol=2e-4, atol=1e-6)


def test_ease_is_stecks_formula(data: TrainingData) -> None:
    x = pairs(data)
    inverse = np.linalg.inv(x.T @ x + 2.0 * np.eye(x.shape[1]))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    matrix = solved(LinearSettings(l2=2.0), data).matrix
    np.testing.assert_allclose(matrix, expected, rtol=2e-4, atol=1e-6)
    assert matrix.dtype == np.float32


def test_no_step_away_from_ease_lowers_its_objective(data: TrainingData) -> None:
    x, l2 = pairs(data), 2.0
    best = solved(LinearSettings(l2=l2), data).matrix.astype(np.float64)

    def objective(matrix: npt.NDArray[np.float64]) -> float:
        return float(((x - x @ matrix) ** 2).sum() + l2 * (matrix**2).sum())

    rng = np.random.default_rng(0)
    for _ in range(50):
        step = rng.normal(size=best.shape) * 0.01
        np.fill_diagonal(step, 0)
        assert objective(best + step) > objective(best)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("forgetting", [DAYS, MOMENTS], ids=["days", "moments"])
def test_next_is_ridge_regression_on_decayed_profiles(
    data: TrainingData, forgetting: ForgettingSettings, weighted: bool
) -> None:
    moments, items, l2 = data.moments(), len(data.catalogue), 0.7
    profile = helpers.naive_profile(data.log, moments, data.column, items, build(forgetting), weighted)
    answer = np.zeros((len(moments), items))
    for query in range(len(moments)):
        targets = moments.targets[moments.target_offsets[query] : moments.target_offsets[query + 1]]
        for target in targets:
            answer[query, target] += 1 / len(targets)
    expected = np.linalg.lstsq(
        np.vstack([profile, np.sqrt(l2) * np.eye(items)]), np.vstack([answer, np.zeros((items, items))])
    )[0]
    settings = LinearSettings(variant="next", l2=l2, forgetting=forgetting, weights=weighted)
    np.testing.assert_allclose(solved(settings, data).matrix, expected, rtol=1e-3, atol=1e-5)


def test_next_sums_the_same_in_blocks(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = LinearSettings(variant="next", forgetting=DAYS)
    encoder = Linear(settings, len(data.catalogue))
    whole = encoder.statistics(data, slice(0, data.log.users))
    monkeypatch.setattr(linear_module, "BLOCK_MOMENTS", 7)
    blocks = encoder.statistics(data, slice(0, data.log.users))
    for name, array in whole.items():
        np.testing.assert_allclose(blocks[name], array, rtol=1e-5, atol=1e-6)


def test_linear_scores_the_decayed_profile(data: TrainingData) -> None:
    assert data.validation is not None
    encoder = solved(LinearSettings(l2=2.0, forgetting=DAYS), data)
    histories = helpers.histories_of(data, data.validation)
    profile = helpers.naive_profile(data.log, data.validation, data.column, histories.items, build(DAYS))
    np.testing.assert_allclose(encoder.score(histories), profile @ encoder.matrix, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("variant", ["ease", "next"])
def test_a_gram_matrix_that_cannot_be_solved_names_the_way_out(variant: str) -> None:
    """Two items that always go together, and next to no ridge."""
    log = helpers.packed([[(0, 0), (0, 1), (1, 0), (1, 1)] for _ in range(5)])
    settings = LinearSettings.model_validate({"variant": variant, "l2": 1e-30})
    with pytest.raises(ValueError, match=r"not positive definite .*raise l2"):
        solved(settings, helpers.training(log))


def network(**settings: Any) -> Mlp:
    """Three items, two dimensions, two hidden units, and weights that can be followed by hand."""
    encoder = Mlp(MlpSettings(dim=2, hidden=2, **settings), 3)
    encoder.load(
        {
            "interest.embedding.weight": np.array([[1, 0], [0, 2], [-4, 1]], np.float32),
            "hidden.weight": np.array([[1, 1], [-1, 0]], np.float32),
            "hidden.bias": np.array([0, 1], np.float32),
            "output.weight": np.array([[1, 0], [0, 1], [2, -1]], np.float32),
            "bias": np.array([0, 0.5, 0], np.float32),
        }
    )
    return encoder


def history(columns: list[int], days: list[float], weights: list[float] | None = None) -> Histories:
    count = len(columns)
    return Histories(
        np.array([0, count]),
        np.array(columns, np.int32),
        np.array(days, np.float64),
        np.arange(count, 0, -1, dtype=np.float64) - 1,
        np.array(weights or [1.0] * count, np.float32),
        np.arange(count),
        3,
    )


@pytest.mark.parametrize(
    ("normalise", "expected"),
    [
        # x = (1, 2) + ½·(1, 0) = (1.5, 2); hidden = relu(3.5, −0.5) = (3.5, 0)
        (0.0, [3.5, 0.5, 7.0]),
        # x / 2.5 = (0.6, 0.8); hidden = relu(1.4, 0.4) = (1.4, 0.4)
        (1.0, [1.4, 0.9, 2.4]),
        # x / √2.5
        (0.5, [3.5 / 2.5**0.5, 1.5 - 1.5 / 2.5**0.5, 7 / 2.5**0.5 - 1 + 1.5 / 2.5**0.5]),
    ],
)
def test_the_recommendation_function_by_hand(normalise: float, expected: list[float]) -> None:
    encoder = network(normalise=normalise, forgetting=DAYS)
    scores = encoder.score(history([0, 0, 1], [2.0, 0.0, 0.0]))
    np.testing.assert_allclose(scores, [expected], rtol=1e-6)


def test_relu_keeps_nothing_negative() -> None:
    """x = (−4, 1): hidden = relu(−3, 5) = (0, 5)."""
    np.testing.assert_allclose(network(normalise=0.0).score(history([2], [1.0])), [[0, 5.5, -5]])


def test_an_interest_that_vanished_is_not_blown_up() -> None:
    """One event of which 2⁻²⁰ is left: without a floor under its mass, `normalise: 1` would make it whole again."""
    scores = network(normalise=1.0, forgetting=DAYS).score(history([0], [40.0]))
    np.testing.assert_allclose(scores, [[0, 1.5, -1]], atol=1e-5)


def test_the_column_weight_counts_where_asked() -> None:
    """Three times item 0: x = (3, 0), hidden = (3, relu(−2)) = (3, 0)."""
    three = history([0], [0.0], [3.0])
    np.testing.assert_allclose(network(normalise=0.0, weights=True).score(three), [[3, 0.5, 6]])
    np.testing.assert_allclose(network(normalise=0.0).score(three), [[1, 0.5, 2]])


def test_an_empty_history_is_scored_by_the_biases() -> None:
    np.testing.assert_allclose(network().score(history([], [])), [[0, 1.5, -1]])


def test_only_the_latest_events_are_read() -> None:
    cut, short = network(max_history=2), network()
    long = history([2, 2, 0, 1], [9.0, 8.0, 2.0, 1.0])
    assert np.array_equal(cut.score(long), short.score(history([0, 1], [2.0, 1.0])))
    assert not np.allclose(short.score(long), cut.score(long))


def test_dropout_is_for_training_only() -> None:
    encoder = network(dropout=0.9)
    encoder.module.train()
    expected = network(dropout=0.0).score(history([0], [0.0]))
    assert np.array_equal(encoder.score(history([0], [0.0])), expected)


def test_scores_are_the_same_in_blocks(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data.validation is not None
    torch.manual_seed(0)
    encoder = Mlp(MlpSettings(dim=4, hidden=5, max_history=3), len(data.catalogue))
    histories = helpers.histories_of(data, data.validation)
    whole = encoder.score(histories)
    monkeypatch.setattr(neural_module, "BLOCK_EVENTS", 7)
    np.testing.assert_allclose(encoder.score(histories), whole, rtol=1e-5, atol=1e-6)
