"""Temperature and reliability against a truth that is known."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators import Csr
from evaluators.calibration import Correction, correction, error, reliability, shares, temperature


def drawn(true: float, queries: int = 4000, items: int = 20) -> tuple[np.ndarray, Csr]:
    """Scores, and one item a query drawn from their softmax at the true temperature."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(queries, items))
    chosen = (scores / true + rng.gumbel(size=scores.shape)).argmax(1)
    return scores, Csr(np.arange(queries + 1), chosen)


@pytest.mark.parametrize("true", [0.3, 1.0, 3.0])
def test_the_temperature_that_made_the_choices_is_found(true: float) -> None:
    assert temperature(*drawn(true)) == pytest.approx(true, rel=0.1)


def test_the_unit_of_the_scores_does_not_matter() -> None:
    scores, relevant = drawn(0.5)
    assert temperature(1000 * scores, relevant) == pytest.approx(
        1000 * temperature(scores, relevant), rel=1e-4
    )


def test_items_that_are_not_shown_have_no_share() -> None:
    scores, relevant = drawn(0.5)
    wider = np.concatenate([scores, np.full((len(scores), 3), -np.inf)], axis=1)
    assert temperature(wider, relevant) == pytest.approx(temperature(scores, relevant), rel=0.05)
    assert (shares(wider, 0.5)[:, -3:] == 0).all()
    assert np.allclose(shares(wider, 0.5).sum(1), 1)


def test_queries_count_alike_whatever_they_hold() -> None:
    scores = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    one = temperature(scores, Csr(np.array([0, 1, 2]), np.array([0, 1])))
    # The same two halves of all weight, the second one spread over two items of like scores.
    two = temperature(scores, Csr(np.array([0, 1, 3]), np.array([0, 1, 2])))
    assert one == pytest.approx(two)


def test_nothing_can_be_said_without_choices_or_without_scores() -> None:
    with pytest.raises(ValueError, match="got 0 relevant items"):
        temperature(np.ones((2, 3)), Csr(np.array([0, 0, 0]), np.array([], int)))
    with pytest.raises(ValueError, match="a spread of 0"):
        temperature(np.ones((1, 3)), Csr(np.array([0, 1]), np.array([1])))


def test_shares_of_the_true_temperature_lie_on_the_line_and_others_do_not() -> None:
    scores, relevant = drawn(0.5)
    truth = np.zeros_like(scores)
    truth[np.arange(len(scores)), relevant.columns] = 1
    users = np.repeat(np.arange(len(scores)), scores.shape[1])

    def apart(at: float) -> tuple[float, bool]:
        bins = reliability(shares(scores, at).ravel(), truth.ravel(), users)
        inside = [b.observed.low <= b.predicted <= b.observed.high for b in bins]
        return error(bins), sum(inside) >= 8

    assert apart(0.5)[1]
    assert apart(0.5)[0] < apart(0.25)[0] / 5
    assert not apart(0.25)[1]


def test_groups_have_one_size_and_rise() -> None:
    predicted = np.linspace(0.5, 0.0, 25)
    bins = reliability(predicted, predicted, np.arange(25), bins=5)
    assert [b.count for b in bins] == [5] * 5
    assert [b.predicted for b in bins] == sorted(b.predicted for b in bins)
    assert error(bins) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("slope", "shift"), [(0.5, -1.0), (1.0, 0.0), (2.0, 1.5)])
def test_the_correction_that_made_the_truth_is_found(slope: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    predicted = rng.uniform(0.02, 0.9, 60_000)
    truth = Correction(slope, shift)(predicted)
    found = correction(predicted, (rng.random(len(truth)) < truth).astype(float))
    assert found.slope == pytest.approx(slope, rel=0.05)
    assert found.shift == pytest.approx(shift, abs=0.05)
    of_shares = correction(predicted, truth)  # what was found may be a share itself
    assert of_shares.slope == pytest.approx(slope, rel=1e-3)
    assert of_shares.shift == pytest.approx(shift, abs=1e-3)


@pytest.mark.parametrize("observed", [np.zeros(50), np.ones(50), np.linspace(1, 0, 50)])
def test_a_correction_keeps_the_order_whatever_was_found(observed: np.ndarray) -> None:
    predicted = np.linspace(0.01, 0.6, 50)
    corrected = correction(predicted, observed)(predicted)
    assert (np.diff(corrected) > 0).all()
    assert ((corrected >= 0) & (corrected <= 1)).all()


def test_shares_of_nothing_and_of_all_can_be_corrected() -> None:
    found = correction(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.25, 1.0]))
    assert np.isfinite(found(np.array([0.0, 0.5, 1.0]))).all()
    with pytest.raises(ValueError, match="needs shares that were predicted"):
        correction(np.array([]), np.array([]))


def test_a_shape_that_no_temperature_mends_is_mended() -> None:
    """Choices fall on the five best items alone, by their softmax: one temperature cannot say so."""
    scores, _ = drawn(0.5)
    best = np.argsort(-scores, axis=1)[:, :5]
    rng = np.random.default_rng(1)
    among = np.take_along_axis(scores, best, 1) / 0.5
    columns = best[np.arange(len(best)), (among + rng.gumbel(size=among.shape)).argmax(1)]
    raw = shares(scores, temperature(scores, Csr(np.arange(len(scores) + 1), columns)))
    shown = np.take_along_axis(raw, best, 1)
    truth = (best == columns[:, None]).astype(float)
    half = len(shown) // 2
    mended = correction(shown[:half].ravel(), truth[:half].ravel())
    users, held = np.repeat(np.arange(half), 5), truth[half:].ravel()
    before, after = (error(reliability(each[half:].ravel(), held, users)) for each in (shown, mended(shown)))
    assert after < before / 2
