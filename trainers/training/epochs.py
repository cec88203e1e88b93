"""Passes over the training moments, and what validation says: the same for any number of workers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from trainers.encoders.neural import Neural, popularity
from trainers.forgetting import build
from trainers.log import DAY, IntArray, Queries, TrainingData, ranges
from trainers.sequences import Batch, Windows, batches, by_user
from trainers.training.ahead import ahead
from trainers.training.losses import Negatives, Shares
from trainers.training.optimise import OptimiseSettings
from trainers.training.spread import Objective, Part, Spread, State
from trainers.training.workers import ALONE, Workers

LOGITS = 2**26  # of a block of validation, 256 MB


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

    Args:
        moments: those of the users of `data.held` alone where not all users' rows are here.

    Raises:
        ValueError: there is no moment to train on, or nothing is left of any.
    """

    def __init__(self, model: Spread, data: TrainingData, moments: Queries, repeats: bool, seed: int) -> None:
        self.model, self.data, self.moments, self.repeats, self.seed = model, data, moments, repeats, seed
        self.encoder, self.workers = model.encoder, model.workers
        self.course = self.settings = model.settings
        self.weights = self._weigh()
        begins = None
        if data.held is not None:
            moments, begins = together(moments, self.workers)
        self.windows = Windows.of(moments, self.encoder.settings.max_history, self.settings.overlap)
        self.edges = None if begins is None else np.searchsorted(self.windows.first, begins)
        sampled = self.settings.loss.kind != "full"
        counted = (
            Shares.of(self.settings.loss.kind, torch.from_numpy(popularity(data, self.workers)))
            if sampled
            else None
        )
        device = self.workers.device
        self.draws = Shares(counted.each.to(device), counted.total.to(device)) if counted else None

    def turn(self, epochs: int) -> None:
        """Go by what the settings are in the epoch that follows so many."""
        before, self.settings = self.settings, self.course.after(epochs)
        if (before.forgetting, before.by_items) != (self.settings.forgetting, self.settings.by_items):
            self.weights = self._weigh()
        self.model.turn(self.settings, self.course.dropout_after(epochs))

    def _weigh(self) -> npt.NDArray[np.float64]:
        weights = example_weights(self.data, self.moments, self.settings)
        if self.data.held is not None:
            weights = self.workers.joined(weights)
        if not weights.any():
            raise ValueError(
                f"`{self.encoder.settings.label}`: training needs a moment with a history of which its loss forgetting "
                f"leaves something, but got {len(self.moments)} moments; raise the half-life of `training.forgetting`."
            )
        return weights

    def run(
        self, number: int, done: int, sums: npt.NDArray[np.float64], average: State | None
    ) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
        """Epoch `number`, counted from 0, from its batch `done` on; yields after each batch how many are done, and this
        worker's loss and weight in them."""
        everybody = batches(self.windows, self.settings.batch, np.random.default_rng((self.seed, number)))
        steps = len(everybody)

        def make(step: int) -> tuple[int, float, list[Part]]:
            scale = float(self._weights(everybody[step]).sum())
            return step, scale, self._parts(everybody[step], scale, (number, step)) if scale else []

        for step, scale, parts in ahead(make, range(done, steps), self.model.compute.ahead):
            self.workers.beat()
            if scale:  # otherwise nothing is left of any of them
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

    def _weights(self, windows: IntArray) -> npt.NDArray[np.float64]:
        """[R] of all moments that these windows answer."""
        first = self.windows.first[windows]
        return self.weights[ranges(first, self.windows.last[windows] - first)]

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
                torch.from_numpy(self._weights(part) * (0.0 if idle else 1 / scale)),
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
