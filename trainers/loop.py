"""The training loop of neural terms: one path for one worker and for many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.parallel import DistributedDataParallel

from trainers.curve import Curve
from trainers.encoders.neural import Neural, popularity
from trainers.forgetting import build
from trainers.log import DAY, IntArray, Queries, TrainingData, ranges
from trainers.losses import Negatives, likelihood, loss, shares
from trainers.optimise import OptimiseSettings
from trainers.sequences import Batch, Windows, batches, by_user
from trainers.workers import ALONE, Workers

State = dict[str, torch.Tensor]


@dataclass
class Training:
    """A training under way: what it takes to go on with it after a crash (dropout draws anew)."""

    curve: Curve
    best: State
    module: State
    optimiser: dict[str, Any]
    average: State | None = None


def example_weights(
    data: TrainingData, moments: Queries, settings: OptimiseSettings
) -> npt.NDArray[np.float64]:
    """[Q] the retention of each training moment's age at the cut, the forgetting term in the loss, times its number of
    items to the power `by_items`."""
    forgetting = build(settings.forgetting)
    user = data.log.users_of(moments.begin)
    last = data.log.moments[data.stop[user] - 1]
    later = last - data.log.moments[moments.end]  # the moment's own events begin at row `end`
    left = forgetting.retention((data.end - moments.time) / DAY, later.astype(np.float64))
    return left * np.diff(moments.target_offsets) ** settings.by_items


def optimise(
    encoder: Neural,
    data: TrainingData,
    moments: Queries,
    settings: OptimiseSettings,
    *,
    repeats: bool,
    seed: int = 0,
    epochs: int | None = None,
    workers: Workers = ALONE,
    resume: Training | None = None,
    after_epoch: Callable[[Training], None] = lambda training: None,
) -> Curve:
    """Train `encoder` on `moments`; it ends with the parameters of the best epoch.

    A step's loss is Σ w·loss / Σ w over its batch, w as in `example_weights`; the batches are the
    same for any number of workers, and each worker computes its share of every batch.

    Args:
        moments: sorted by user and time, as `TrainingData.moments` gives them.
        repeats: where a user takes nothing twice, items of the history are left out of the softmax.
        epochs: train for just so many epochs and do not look at the validation queries (a refit); by default
            stop `settings.patience` epochs after the best one on validation, or at `settings.epochs`.
        resume: a training to go on with.
        after_epoch: called on every worker after each epoch.

    Raises:
        FloatingPointError: the loss is no longer finite.
        ValueError: there is no moment to train on, or nothing is left of any.
    """
    torch.manual_seed(seed + workers.rank)
    module: torch.nn.Module = encoder.module.to(workers.device)
    optimiser = settings.build(module.parameters())
    validation = data.validation if epochs is None else None
    weights = example_weights(data, moments, settings)
    if not weights.any():
        raise ValueError(
            f"`{encoder.settings.label}`: training needs a moment with a history of which its loss forgetting leaves "
            f"something, but got {len(moments)} moments; raise the half-life of `training.forgetting`."
        )
    epoch = _Epoch(encoder, data, moments, weights, settings, repeats, seed, workers)
    if resume is None:
        curve, best = Curve(), _copy(module)
        average = _copy(module) if settings.average else None
        if validation is not None:
            curve.start = validation_loss(encoder, data, validation, repeats, workers)
    else:
        curve, best, average = resume.curve, resume.best, resume.average
        module.load_state_dict(resume.module)
        optimiser.load_state_dict(resume.optimiser)
    wrapped = DistributedDataParallel(module) if workers.size > 1 else module

    total = epochs if epochs is not None else settings.epochs
    while len(curve.loss) < total and not _patience_spent(curve, validation is not None, settings.patience):
        curve.loss.append(epoch.run(wrapped, optimiser, len(curve.loss), average))
        moving = _copy(module)
        if average is not None:
            module.load_state_dict(average)
        if validation is None:
            curve.best_epoch, best = len(curve.loss), _copy(module)
        else:
            curve.validation.append(validation_loss(encoder, data, validation, repeats, workers))
            assert curve.start is not None
            if curve.validation[-1] < min([curve.start, *curve.validation[:-1]]):
                curve.best_epoch, best = len(curve.loss), _copy(module)
        module.load_state_dict(moving)
        after_epoch(Training(curve, best, moving, optimiser.state_dict(), average))
    module.load_state_dict(best)
    module.to("cpu")
    return curve


class _Epoch:
    """One pass over the training moments, the same for any number of workers."""

    def __init__(
        self,
        encoder: Neural,
        data: TrainingData,
        moments: Queries,
        weights: npt.NDArray[np.float64],
        settings: OptimiseSettings,
        repeats: bool,
        seed: int,
        workers: Workers,
    ) -> None:
        self.encoder, self.data, self.weights, self.settings = encoder, data, weights, settings
        self.repeats, self.seed, self.workers = repeats, seed, workers
        self.windows = Windows.of(moments, encoder.settings.max_history)
        sampled = settings.loss.kind != "full"
        counted = torch.from_numpy(popularity(data)) if sampled else None
        self.draws = shares(settings.loss.kind, counted).to(workers.device) if counted is not None else None

    def run(
        self, module: torch.nn.Module, optimiser: torch.optim.Optimizer, number: int, average: State | None
    ) -> float:
        """Epoch `number`, counted from 0. Returns its mean loss, nats."""
        module.train()
        parts = batches(self.windows, self.settings.batch, np.random.default_rng((self.seed, number)))
        total = mass = 0.0
        followed = (
            [(average[name], tensor) for name, tensor in self.encoder.module.state_dict().items()]
            if average
            else []
        )
        for step, everybody in enumerate(parts):
            scale = float(self._weights(everybody).sum())
            if scale == 0:  # nothing is left of any of them
                continue
            done = number * len(parts) + step
            rate = self.settings.rate_at(done, self.settings.epochs * len(parts))
            for group in optimiser.param_groups:
                group["lr"] = rate
            value, share = self._step(module, optimiser, everybody, scale, (number, step))
            total += value * scale
            mass += share * scale
            _follow(followed, self.settings.average, done + 1)
        total, mass = self.workers.sum(np.array([total, mass]))
        if not np.isfinite(total):
            raise FloatingPointError(
                f"`{self.encoder.settings.label}`: the training loss is {total / mass}; lower `rate` (now in use: "
                f"{self.settings.rate:g})."
            )
        return float(total / mass)

    def _weights(self, windows: IntArray) -> npt.NDArray[np.float64]:
        """[R] of all moments that these windows answer."""
        first = self.windows.first[windows]
        return self.weights[ranges(first, self.windows.last[windows] - first)]

    def _step(
        self,
        module: torch.nn.Module,
        optimiser: torch.optim.Optimizer,
        everybody: IntArray,
        scale: float,
        at: tuple[int, int],
    ) -> tuple[float, float]:
        """One step of the optimiser; this worker's share of the loss and of the weight."""
        mine = everybody[self.workers.rank :: self.workers.size]
        # A batch of fewer windows than workers: those without any take part in the step and count for nothing.
        idle = not len(mine)
        mine = everybody[:1] if idle else mine
        # In float64: old moments' weights are too small for the network's floats.
        share = self._weights(mine) * (0.0 if idle else 1 / scale)
        batch = self._batch(mine)
        value_R = loss(module(batch), batch, self.settings.loss, self._negatives(at))
        weighted = (value_R * torch.from_numpy(share).to(value_R)).sum()
        optimiser.zero_grad()
        # DDP averages gradients over workers; `size` turns that average into the batch's sum.
        torch.autograd.backward(weighted * self.workers.size)
        torch.nn.utils.clip_grad_norm_(self.encoder.module.parameters(), self.settings.clip)
        optimiser.step()
        return float(weighted.detach()), float(share.sum())

    def _batch(self, windows: IntArray) -> Batch:
        data, most = self.data, self.encoder.settings.max_history
        scope = self.encoder.settings.forgetting.scope
        batch = Batch.of(
            self.windows, windows, data.log, data.column, most, repeats=self.repeats, scope=scope
        )
        return batch.to(self.workers.device)

    def _negatives(self, at: tuple[int, int]) -> Negatives | None:
        """The same for all workers: they draw by the seed, the epoch and the step."""
        if self.draws is None:
            return None
        drawn_by = int(np.random.SeedSequence((self.seed, *at)).generate_state(1)[0])
        generator = torch.Generator(self.workers.device).manual_seed(drawn_by)
        return Negatives.draw(self.draws, self.settings.loss.negatives, generator)


def validation_loss(
    encoder: Neural, data: TrainingData, queries: Queries, repeats: bool, workers: Workers = ALONE
) -> float:
    """Mean negative log-likelihood of the queries' relevant items, nats an item."""
    module, most, scope = encoder.module, encoder.settings.max_history, encoder.settings.forgetting.scope
    module.eval()
    total = 0.0
    windows = Windows.of(by_user(queries), most)
    with torch.no_grad():
        for part in batches(windows, 512, np.random.default_rng(0))[workers.rank :: workers.size]:
            batch = Batch.of(windows, part, data.log, data.column, most, repeats=repeats, scope=scope)
            batch = batch.to(workers.device)
            total += float(likelihood(module(batch), batch).double().sum())
    return float(workers.sum(np.array([total]))[0]) / len(queries)


def _follow(followed: list[tuple[torch.Tensor, torch.Tensor]], keep: float, steps: int) -> None:
    """Move each running average towards where its tensor is after so many steps, nothing left in it of where that
    began (the correction of Adam, Kingma & Ba 2015)."""
    share = (1 - keep) / (1 - keep**steps)
    for average, tensor in followed:
        average.lerp_(tensor.to(average), share)


def _patience_spent(curve: Curve, validated: bool, patience: int) -> bool:
    return validated and len(curve.loss) - curve.best_epoch >= patience


def _copy(module: torch.nn.Module) -> State:
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
