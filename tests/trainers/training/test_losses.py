"""Losses, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace

import pytest
import torch

from trainers.networks.prediction import Cells, Prediction
from trainers.sequences import Batch
from trainers.training.losses import LOSSES, Negatives, Shares, likelihood, loss
from trainers.training.optimise import LossSettings

LOGITS = torch.tensor([[0.3, -1.0, 2.0, 0.1, 0.7], [1.0, 0.0, -0.5, 0.4, -2.0]], dtype=torch.float64)


def batch(targets: Sequence[Sequence[int]], had: Sequence[Sequence[int]] = ()) -> Batch:
    """Moments with these items, whose users had those; no loss reads more of a batch."""

    def flat(lists: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = [(row, item) for row, items in enumerate(lists) for item in items]
        both = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    row, columns = flat(targets)
    had_row, had_columns = flat(had)
    known = {
        "query": torch.arange(len(targets)),
        "targets": columns,
        "target_row": row,
        "had": had_columns,
        "had_row": had_row,
    }
    return Batch(**{each.name: known.get(each.name, torch.zeros(0)) for each in fields(Batch)})


def prediction(logits: torch.Tensor, own: Cells | None = None) -> Prediction:
    """One that says just these logits."""
    items = logits.shape[1]
    return Prediction(
        logits, torch.eye(items, dtype=logits.dtype), torch.zeros(items, dtype=logits.dtype), own
    )


def negatives(*columns: int, items: int = 5) -> Negatives:
    """These were drawn, and each item is as likely as not."""
    expected = torch.full((len(columns),), math.log(0.5), dtype=torch.float64)
    return Negatives(torch.tensor(columns), expected, items)


def value(kind: str, sampled: Negatives | None, of: Batch, calibration: float = 0.75) -> list[float]:
    settings = LossSettings.model_validate({"kind": kind, "calibration": calibration})
    found: list[float] = loss(prediction(LOGITS), of, settings, sampled).tolist()
    return found


def test_likelihood_by_hand() -> None:
    """Shares of ½, ¼, ¼; the second moment has two items, which count half each."""
    logits = torch.tensor([[math.log(2), 0.0, 0.0], [math.log(2), 0.0, 0.0]])
    nll = likelihood(prediction(logits), batch([[0], [0, 2]]))
    assert nll.tolist() == pytest.approx([math.log(2), (math.log(2) + math.log(4)) / 2])


def test_likelihood_does_not_know_a_shift() -> None:
    one, other = (likelihood(prediction(LOGITS + shift), batch([[2], [0]])) for shift in (0.0, 500.0))
    assert one.tolist() == pytest.approx(other.tolist(), rel=1e-9)


def test_an_item_twice_in_a_moment_counts_twice() -> None:
    logits = torch.tensor([[math.log(2), 0.0, 0.0]])
    nll = likelihood(prediction(logits), batch([[0, 0, 1]]))
    assert nll.item() == pytest.approx((2 * math.log(2) + math.log(4)) / 3)


def test_what_the_user_had_takes_no_share() -> None:
    """Item 2 is out; item 1 was had, but is an answer all the same; the second moment's user had nothing."""
    logits = torch.zeros(2, 4, requires_grad=True)
    nll = likelihood(prediction(logits), batch([[1], [1]], [[1, 2, 2], []]))
    assert nll.tolist() == pytest.approx([math.log(3), math.log(4)])
    [gradient] = torch.autograd.grad(nll[0], logits)
    assert gradient[0].tolist() == pytest.approx([1 / 3, -2 / 3, 0, 1 / 3])


def test_what_a_user_had_is_out_for_that_user_alone() -> None:
    nll = likelihood(prediction(torch.zeros(2, 4)), batch([[0], [0]], [[], [3]]))
    assert nll.tolist() == pytest.approx([math.log(4), math.log(3)])


@pytest.mark.parametrize("kind", ["full", *LOSSES])
def test_gradients_agree_with_finite_differences(kind: str) -> None:
    drawn = None if kind == "full" else negatives(0, 2, 3)
    of = batch([[1], [0, 4]], [[3], []])
    settings = LossSettings.model_validate({"kind": kind})

    def total(logits: torch.Tensor) -> torch.Tensor:
        return loss(prediction(logits), of, settings, drawn)

    assert torch.autograd.gradcheck(total, (LOGITS.clone().requires_grad_(),))


@pytest.mark.parametrize("kind", ["full", *LOSSES])
def test_what_a_network_adds_to_the_loss_is_added(kind: str) -> None:
    drawn = None if kind == "full" else negatives(0, 2, 3)
    settings = LossSettings.model_validate({"kind": kind})
    of, plain = batch([[1], [0, 4]]), prediction(LOGITS)
    penalty = torch.tensor([0.25, 3.0], dtype=torch.float64)
    more = loss(replace(plain, penalty=penalty), of, settings, drawn) - loss(plain, of, settings, drawn)
    assert more.tolist() == pytest.approx(penalty.tolist())
    assert likelihood(replace(plain, penalty=penalty), of).tolist() == likelihood(plain, of).tolist()


@pytest.mark.parametrize("kind", ["full", *LOSSES])
def test_own_items_are_in_every_loss(kind: str) -> None:
    """The same as if they were in the interest: of the answers, of a rival, and of an item that was not drawn."""
    own = Cells(
        torch.tensor([1, 0, 0]), torch.tensor([4, 3, 1]), torch.tensor([0.5, 2.0, 1.5], dtype=torch.float64)
    )
    raised = LOGITS.clone()
    raised[own.row, own.column] += own.value
    drawn = None if kind == "full" else negatives(0, 2, 3)
    of, settings = batch([[1], [0, 4]]), LossSettings.model_validate({"kind": kind})
    found = loss(prediction(LOGITS, own), of, settings, drawn)
    assert found.tolist() == pytest.approx(loss(prediction(raised), of, settings, drawn).tolist())
    assert found.tolist() != pytest.approx(loss(prediction(LOGITS), of, settings, drawn).tolist())


def test_sampled_softmax_by_hand() -> None:
    """Every rival stands for two, since each is drawn every second time; the other item of the moment is there once, as
    it is always there, and what the user had is none."""
    e = LOGITS.exp()
    of = batch([[1], [0, 4]], [[], [3]])
    first = torch.log(e[0, 1] + 2 * (e[0, 0] + e[0, 2] + e[0, 3])) - LOGITS[0, 1]
    second = [torch.log(e[1, 0] + e[1, 4] + 2 * e[1, 2]) - LOGITS[1, item] for item in (0, 4)]
    expected = [float(first), float(sum(second)) / 2]
    assert value("sampled", negatives(0, 2, 3), of) == pytest.approx(expected)


def test_a_softmax_over_sampled_items_is_the_full_one_once_all_are_sampled() -> None:
    generator = torch.Generator().manual_seed(0)
    share = torch.tensor([0.1, 0.2, 0.3, 0.25, 0.15], dtype=torch.float64)
    of = batch([[1], [0, 1, 3]], [[0], [4]])
    everything = Negatives.draw(Shares.of("sampled", share), 2000, generator)
    assert value("sampled", everything, of) == pytest.approx(value("full", None, of), rel=1e-9)


def test_a_softmax_over_sampled_items_is_right_on_average() -> None:
    """However unevenly they are drawn: e^loss is on average what it is over the whole catalogue."""
    generator = torch.Generator().manual_seed(1)
    share = torch.tensor([0.5, 0.1, 0.05, 0.3, 0.05], dtype=torch.float64)
    of = batch([[1], [3]])  # of one item: of several, the mean of their losses is what the exponent is of
    drawn = [
        value("sampled", Negatives.draw(Shares.of("sampled", share), 3, generator), of) for _ in range(4000)
    ]
    found = torch.tensor(drawn, dtype=torch.float64).exp().mean(0)
    assert found.tolist() == pytest.approx(torch.tensor(value("full", None, of)).exp().tolist(), rel=0.05)


def test_no_rivals_are_no_loss() -> None:
    """All that was drawn is an answer, or was had before."""
    of = batch([[1], [0, 4]], [[0], [1]])
    assert value("bpr", negatives(0, 1), of) == pytest.approx([0.0, 0.0], abs=1e-6)
    both = LOGITS[1, [0, 4]]
    among = float((torch.logsumexp(both, 0) - both).mean())  # two answers leave each other less than one
    assert value("sampled", negatives(0, 1), of) == pytest.approx([0.0, among], abs=1e-6)


@pytest.mark.parametrize("calibration", [0.0, 0.6, 1.0])
def test_gbce_by_hand(calibration: float) -> None:
    """Three of four possible rivals were drawn: β = ¾·(t·(1 − 4/3) + 4/3). The first moment has three rivals beside its
    answer, of which the mean is taken, the second one."""

    def log_sigmoid(x: float) -> float:
        return -math.log1p(math.exp(-x))

    beta = 0.75 * (calibration * (1 - 4 / 3) + 4 / 3)
    assert beta == pytest.approx({0.0: 1.0, 0.6: 0.85, 1.0: 0.75}[calibration])
    x = LOGITS.tolist()
    first = -beta * log_sigmoid(x[0][1]) - sum(log_sigmoid(-x[0][item]) for item in (0, 2, 3))
    second = [-beta * log_sigmoid(x[1][item]) - log_sigmoid(-x[1][2]) for item in (0, 4)]
    found = value("gbce", negatives(0, 2, 3), batch([[1], [0, 4]], [[], [3]]), calibration)
    assert found == pytest.approx([first / 4, sum(second) / 2 / 2])


def test_bpr_by_hand() -> None:
    """The mean over the rivals that are some: three of the first moment, one of the second."""

    def behind(ahead: float) -> float:
        return math.log1p(math.exp(-ahead))

    x = LOGITS.tolist()
    first = sum(behind(x[0][1] - x[0][item]) for item in (0, 2, 3)) / 3
    second = sum(behind(x[1][item] - x[1][2]) for item in (0, 4)) / 2
    found = value("bpr", negatives(0, 2, 3), batch([[1], [0, 4]], [[], [3]]))
    assert found == pytest.approx([first, second])


@pytest.mark.parametrize("kind", LOSSES)
def test_what_was_not_drawn_has_no_gradient(kind: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    settings = LossSettings.model_validate({"kind": kind})
    total = loss(prediction(logits), batch([[1], [0, 4]], [[], [3]]), settings, negatives(0, 2, 3)).sum()
    [gradient] = torch.autograd.grad(total, logits)
    felt = gradient != 0
    assert felt.tolist() == [[True, True, True, True, False], [True, False, True, False, True]]
    answers = torch.tensor([[0, 1, 0, 0, 0], [1, 0, 0, 0, 1]], dtype=torch.bool)
    assert (gradient.where(answers, 0).sum(1) < 0).all()
    assert (gradient[felt & ~answers] > 0).all()


def test_draws_are_as_frequent_as_they_say() -> None:
    generator = torch.Generator().manual_seed(2)
    share = torch.tensor([0.6, 0.25, 0.1, 0.04, 0.01], dtype=torch.float64)
    times, count = torch.zeros(5), 4000
    for _ in range(count):
        drawn = Negatives.draw(Shares.of("sampled", share), 6, generator)
        assert drawn.columns.tolist() == sorted(set(drawn.columns.tolist()))
        times[drawn.columns] += 1
    everything = Negatives.draw(Shares.of("sampled", share), 6, generator)
    while len(everything.columns) < 5:
        everything = Negatives.draw(Shares.of("sampled", share), 6, generator)
    expected = everything.log_expected.exp()
    assert expected[3].item() == pytest.approx(1 - 0.96**6)
    spread = (expected * (1 - expected) / count).sqrt()
    assert ((times / count - expected).abs() < 4 * spread + 1e-3).all()


def test_the_share_of_an_item_that_is_all_there_is() -> None:
    drawn = Negatives.draw(
        Shares.of("sampled", torch.tensor([1.0, 0.0])), 3, torch.Generator().manual_seed(0)
    )
    assert drawn.columns.tolist() == [0]
    assert drawn.log_expected[0].item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(drawn.log_expected).all()


def test_sampled_softmax_draws_by_popularity_and_the_others_evenly() -> None:
    popularity = torch.tensor([6.0, 3.0, 1.0])
    assert Shares.of("sampled", popularity).each.tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert Shares.of("sampled", popularity).total.tolist() == pytest.approx([0.6, 0.9, 1.0])
    for kind in ("gbce", "bpr"):
        assert Shares.of(kind, popularity).each.tolist() == pytest.approx([1 / 3] * 3)
