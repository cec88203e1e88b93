"""Passes over the training moments, and what validation says: the same for any number of workers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from trainers.encoders.neural import Neural, popularity
from trainers.forgetting import build
from trainers.forgetting.base import MOST
from trainers.log import DAY, IntArray, Queries, TrainingData, ranges
from trainers.sequences import Batch, Windows, batches, by_user
from trainers.training.ahead import ahead
from trainers.training.losses import Negatives, Shares
from trainers.training.optimise import OptimiseSettings
from trainers.training.spread import Objective, Part, Spread, State
from trainers.training.workers import ALONE, Workers

LOGITS = 2**26  # of a block of validation, 256 MB


def left_of(data: TrainingData, moments: Queries, settings: OptimiseSettings) -> npt.NDArray[np.float64]:
    """[Q] the retention of each training moment's age at the cut, the forgetting term in the loss: exactly 0 where
    nothing is left, as beyond the horizon of `linear`."""
    user = data.log.users_of(moments.begin)
    last = data.log.moments[data.stop[user] - 1]
    later = last - data.log.moments[moments.end]  # the moment's own events begin at row `end`
    lost = build(settings.forgetting).lost((data.end - moments.time) / DAY, later.astype(np.float64))
    return np.where(lost < MOST, np.exp(-lost), 0.0)


def counted(moments: Queries, settings: OptimiseSettings) -> npt.NDArray[np.float64]:
    """[Q] the number of items of each moment to the power `by_items`."""
    return np.asarray(np.diff(moments.target_offsets) ** settings.by_items, np.float64)


def together(moments: Queries, workers: Workers) -> tuple[Queries, IntArray]:
    """Everybody's moments, and [size + 1] where each worker's begin: what batches are made of is the same as if each
    worker had all rows. The targets of others stay with them; here they are 0."""
    edges = np.concatenate(([0], np.cumsum(workers.lengths(len(moments))))).astype(np.int64)
    lengths = workers.joined(np.diff(moments.target_offsets))
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    targets = np.zeros(int(offsets[-1]), moments.targets.dtype)
    first = int(offsets[edges[workers.rank]])
    targets[first : first + len(moments.targets)] = moments.targets
    time, begin, end = (workers.joined(array) for array in (moments.time, moments.begin, moments.end))
    return Queries(time, begin, end, offsets, targets), edges


class Epochs:
    """Passes over the training moments, the same for any number of workers.

    A moment's weight is w = c·R: its `counted` c, and R, what is `left_of` it. A step has Σ w·loss over its batch,
    divided by Σ c over the batch and by the mean of R over all moments, Σ w / Σ c. Divided by the batch's own Σ w, a
    batch of old moments would count as much as one of new ones.

    Args:
        moments: those of the users of `data.held` alone where not all users' rows are here.

    Raises:
        ValueError: there is no moment to train on, or nothing is left of any.
    """

    def __init__(self, model: Spread, data: TrainingData, moments: Queries, repeats: bool, seed: int) -> None:
        self.model, self.data, self.moments, self.repeats, self.seed = model, data, moments, repeats, seed
        self.encoder, self.workers = model.encoder, model.workers
        self.course = self.settings = model.settings
        self._weigh()
        begins = None
        if data.held is not None:
            moments, begins = together(moments, self.workers)
        self.windows = Windows.of(moments, self.encoder.settings.max_history, self.settings.overlap)
        self.edges = None if begins is None else np.searchsorted(self.windows.first, begins)
        sampled = self.settings.loss.kind != "full"
        drawn = (
            Shares.of(self.settings.loss.kind, torch.from_numpy(popularity(data, self.workers)))
            if sampled
            else None
        )
        device = self.workers.device
        self.draws = Shares(drawn.each.to(device), drawn.total.to(device)) if drawn else None

    def turn(self, epochs: int) -> None:
        """Go by what the settings are in the epoch that follows so many."""
        before, self.settings = self.settings, self.course.after(epochs)
        if (before.forgetting, before.by_items) != (self.settings.forgetting, self.settings.by_items):
            self._weigh()
        self.model.turn(self.settings, self.course.dropout_after(epochs))

    def _weigh(self) -> None:
        left = left_of(self.data, self.moments, self.settings)
        self.counts = counted(self.moments, self.settings)
        if self.data.held is not None:
            left, self.counts = self.workers.joined(left), self.workers.joined(self.counts)
        self.weights = left * self.counts
        if not self.weights.any():
            raise ValueError(
                f"`{self.encoder.settings.label}`: training needs a moment with a history of which its loss forgetting "
                f"leaves something, but got {len(self.moments)} moments; raise the half-life of `training.forgetting`."
            )
        self.mean_left = float(self.weights.sum() / self.counts.sum())

    def run(
        self, number: int, done: int, sums: npt.NDArray[np.float64], average: State | None
    ) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
        """Epoch `number`, counted from 0, from its batch `done` on; yields after each batch how many are done, and this
        worker's loss and weight in them."""
        everybody = batches(self.windows, self.settings.batch, np.random.default_rng((self.seed, number)))
        steps = len(everybody)

        def make(step: int) -> tuple[int, float, list[Part]]:
            rows = self._rows(everybody[step])
            scale = self.mean_left * float(self.counts[rows].sum())
            alive = self.weights[rows].any()
            return step, scale, self._parts(everybody[step], scale, (number, step)) if alive else []

        for step, scale, parts in ahead(make, range(done, steps), self.model.compute.ahead):
            self.workers.beat()
            if parts:  # otherwise nothing is left of any of them
                self.model.objective.train()
                after = number * steps + step
                rate = self.settings.rate_at(after, self.settings.epochs * steps)
                value, norm = self.model.gradient(parts)
                if not (math.isfinite(value) and math.isfinite(norm)):
                    raise FloatingPointError(
                        f"`{self.encoder.settings.label}`: the training loss is {value:g} and its gradient {norm:g} in "
                        f"epoch {number + 1}, batch {step + 1} of {steps}, at a rate of {rate:g}; lower `rate`"
                        f"{' or set `train.precision: fp32`' if self.model.objective.narrow else ''}."
                    )
                self.model.move(rate)
                if average is not None:
                    self.model.follow(average, after + 1)
                weight = sum(float(part.share_R.sum()) for part in parts)
                sums = sums + np.array([value, weight]) * scale
            yield step + 1, sums

    def mean(self, sums: npt.NDArray[np.float64]) -> float:
        """The mean loss of an epoch, nats."""
        total, mass = self.workers.sum(sums)
        return float(total / mass)

    def _rows(self, windows: IntArray) -> IntArray:
        """[R] all moments that these windows answer."""
        first = self.windows.first[windows]
        return ranges(first, self.windows.last[windows] - first)

    def _parts(self, everybody: IntArray, scale: float, at: tuple[int, int]) -> list[Part]:
        """This worker's share of a batch, in as many parts as are to be computed one after the other."""
        windows = self.workers.share(everybody, self.edges)
        # A batch with no window for this worker: it takes part in the step and counts for nothing.
        idle = not len(windows)
        windows = self._any(everybody) if idle else windows
        negatives = self._negatives(at)
        parts = min(self.model.compute.accumulate, len(windows))
        return [
            Part(
                self._batch(part),
                # In float64: old moments' weights are too small for the network's floats.
                torch.from_numpy(self.weights[self._rows(part)] * (0.0 if idle else 1 / scale)),
                negatives,
            )
            for part in (windows[number::parts] for number in range(parts))
        ]

    def _any(self, everybody: IntArray) -> IntArray:
        """Some window to compute with, of this worker's users if they have one."""
        if self.edges is None or self.edges[self.workers.rank] == self.edges[self.workers.rank + 1]:
            return everybody[:1]
        return self.edges[self.workers.rank : self.workers.rank + 1]

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
    encoder: Neural,
    data: TrainingData,
    queries: Queries,
    repeats: bool,
    workers: Workers = ALONE,
    objective: Objective | None = None,
) -> float:
    """Mean negative log-likelihood of the queries' relevant items, nats an item."""
    most, scope = encoder.settings.max_history, encoder.settings.forgetting.scope
    asked = objective or Objective(encoder.module, encoder.settings.training.loss)
    asked.eval()
    total = 0.0
    mine = queries if data.held is None else data.of_held(queries)
    windows = Windows.of(by_user(mine if len(mine) else queries), most)
    size = max(min(512, LOGITS // encoder.items), 1)
    parts = batches(windows, size, np.random.default_rng(0))
    own = len(parts) if len(mine) else 0
    # A sharded network is asked equally often by all; who has no block left asks for nothing.
    if data.held is None:
        turns = range(workers.rank, -(-len(parts) // workers.size) * workers.size, workers.size)
    else:
        turns = range(max(workers.lengths(own)))
    with torch.no_grad():
        for at in turns:
            workers.beat()
            batch = Batch.of(
                windows, parts[at % len(parts)], data.log, data.column, most, repeats=repeats, scope=scope
            ).to(workers.device)
            value = float(asked(batch).double().sum())
            total += value if at < own else 0.0
    return float(workers.sum(np.array([total]))[0]) / len(queries)
