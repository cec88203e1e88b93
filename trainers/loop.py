"""The training loop of neural terms: one path for one worker and for many."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainers.ahead import ahead
from trainers.computing import PLAIN, ComputeSettings
from trainers.curve import Curve
from trainers.encoders.neural import Neural, popularity
from trainers.forgetting import build
from trainers.log import DAY, IntArray, Queries, TrainingData, ranges
from trainers.losses import Negatives, Shares
from trainers.optimise import OptimiseSettings
from trainers.sequences import Batch, Windows, batches, by_user
from trainers.spread import Objective, Part, Replicated, Spread, State
from trainers.touched import Touched
from trainers.workers import ALONE, Workers


@dataclass
class Training:
    """A training under way: all that it takes to go on with it, on any number of workers, as if nothing had been.

    Attributes:
        curve: of the epochs that are over.
        best, module, average: parameters of the best epoch, now, and on average; whole, on the CPU.
        optimiser: its state, whole; on worker 0 alone.
        batch: how many batches of the epoch under way are done.
        sums: [workers, 2] each worker's loss and weight in them.
        random: each worker's random states, [states, bytes] by rank.
    """

    curve: Curve
    best: State
    module: State
    optimiser: dict[str, Any]
    average: State | None = None
    batch: int = 0
    sums: list[list[float]] = field(default_factory=list)
    random: list[list[torch.Tensor]] = field(default_factory=list)


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


def spread(encoder: Neural, settings: OptimiseSettings, compute: ComputeSettings, workers: Workers) -> Spread:
    """The encoder's network as `train.sharding` and the loss want it.

    Raises:
        ValueError: they cannot be had together.
    """
    compute.check(encoder.settings.label, settings)
    if settings.loss.sparse:
        return Touched(encoder, settings, compute, workers)
    if workers.size == 1:
        return Spread(encoder, settings, compute, workers)
    if compute.sharding == "model":
        from trainers.sharded import Sharded  # a second to import, which few need

        return Sharded(encoder, settings, compute, workers)
    return Replicated(encoder, settings, compute, workers)


def optimise(
    encoder: Neural,
    data: TrainingData,
    moments: Queries,
    settings: OptimiseSettings,
    *,
    repeats: bool,
    seed: int = 0,
    epochs: int | None = None,
    compute: ComputeSettings = PLAIN,
    workers: Workers = ALONE,
    resume: Training | None = None,
    keep: Callable[[Training], None] = lambda training: None,
    after_epoch: Callable[[Curve], None] = lambda curve: None,
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
        keep: called on every worker when `compute.checkpoint` says so.
        after_epoch: called on every worker after each epoch.

    Raises:
        FloatingPointError: the loss or its gradient is no longer finite.
        ValueError: there is no moment to train on, or nothing is left of any.
    """
    torch.manual_seed(seed + workers.rank)
    validation = data.validation if epochs is None else None
    weights = example_weights(data, moments, settings)
    if not weights.any():
        raise ValueError(
            f"`{encoder.settings.label}`: training needs a moment with a history of which its loss forgetting leaves "
            f"something, but got {len(moments)} moments; raise the half-life of `training.forgetting`."
        )
    model = spread(encoder, settings, compute, workers)

    def judge() -> float:
        assert validation is not None
        found = validation_loss(encoder, data, validation, repeats, workers, model.objective)
        model.judged()
        return found

    if resume is None:
        curve, best, batch = Curve(), model.copy(), 0
        average = model.copy() if settings.average else None
        sums = np.zeros(2)
        if validation is not None:
            curve.start = judge()
    else:
        curve, best, batch = resume.curve, model.part(resume.best), resume.batch
        average = None if resume.average is None else model.part(resume.average)
        model.put(model.part(resume.module))
        model.load_optimiser(resume.optimiser)
        sums = _own_sums(resume.sums, workers)
        _set_random(resume.random, workers)
    clock = _Clock(compute.checkpoint.minutes, workers)

    def checkpoint(batch: int, sums: npt.NDArray[np.float64]) -> None:
        everybody = [each.tolist() for each in workers.gather(torch.from_numpy(sums))]
        states = [workers.gather(state) for state in _random(workers)]
        keep(
            Training(
                curve,
                model.whole(best),
                model.whole(model.copy()),
                model.optimiser_state(),
                None if average is None else model.whole(average),
                batch,
                everybody,
                [list(each) for each in zip(*states, strict=True)],
            )
        )
        clock.reset()

    epoch = _Epoch(model, data, moments, weights, repeats, seed)
    total = epochs if epochs is not None else settings.epochs
    while len(curve.loss) < total and not _patience_spent(curve, validation is not None, settings.patience):
        for done, summed in epoch.run(len(curve.loss), batch, sums, average):
            sums = summed
            if clock.strikes():
                checkpoint(done, sums)
        curve.loss.append(epoch.mean(sums))
        batch, sums = 0, np.zeros(2)
        moving = model.copy()
        if average is not None:
            model.put(average)
        if validation is not None:
            curve.validation.append(judge())
        known = [] if curve.start is None else [curve.start, *curve.validation[:-1]]
        if validation is None or curve.validation[-1] < min(known):
            curve.best_epoch, best = len(curve.loss), model.copy()
        model.put(moving)
        after_epoch(curve)
        if len(curve.loss) % compute.checkpoint.epochs == 0:
            checkpoint(0, sums)
    model.finish(best)
    return curve


class _Epoch:
    """Passes over the training moments, the same for any number of workers."""

    def __init__(
        self,
        model: Spread,
        data: TrainingData,
        moments: Queries,
        weights: npt.NDArray[np.float64],
        repeats: bool,
        seed: int,
    ) -> None:
        self.model, self.data, self.weights, self.repeats, self.seed = model, data, weights, repeats, seed
        self.encoder, self.settings, self.workers = model.encoder, model.settings, model.workers
        self.windows = Windows.of(moments, self.encoder.settings.max_history)
        sampled = self.settings.loss.kind != "full"
        counted = Shares.of(self.settings.loss.kind, torch.from_numpy(popularity(data))) if sampled else None
        device = self.workers.device
        self.draws = Shares(counted.each.to(device), counted.total.to(device)) if counted else None

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
        windows = self.workers.share(everybody)
        # A batch of fewer windows than workers: those without any take part in the step and count for nothing.
        idle = not len(windows)
        windows = everybody[:1] if idle else windows
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


class _Clock:
    """Strikes for all workers at once when so many minutes have passed on worker 0.

    They agree on it a hundred times or so between two strokes: each time worker 0 says after how many steps to ask
    again, half of what would be too late at the pace so far, an eighth more steps at most."""

    def __init__(self, minutes: float, workers: Workers, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.workers, self.now = minutes * 60, workers, now
        self.reset()

    def reset(self) -> None:
        self.since, self.steps, self.ask = self.now(), 0, 1

    def strikes(self) -> bool:
        """To be called by every worker after each step."""
        self.steps += 1
        if self.steps < self.ask:
            return False
        passed = self.now() - self.since
        left = self.steps * (self.seconds - passed) / max(passed, 1e-9) / 2
        over, self.ask = self.workers.first(
            np.array([passed >= self.seconds, self.steps + max(min(left, self.steps / 8), 1)], np.int64)
        ).tolist()
        return bool(over)


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
    windows = Windows.of(by_user(queries), most)
    size = max(min(512, LOGITS // encoder.items), 1)
    parts = batches(windows, size, np.random.default_rng(0))
    with torch.no_grad():
        # A sharded network is asked equally often by all; who has no block left asks for nothing.
        for at in range(workers.rank, -(-len(parts) // workers.size) * workers.size, workers.size):
            batch = Batch.of(
                windows, parts[at % len(parts)], data.log, data.column, most, repeats=repeats, scope=scope
            ).to(workers.device)
            value = float(asked(batch).double().sum())
            total += value if at < len(parts) else 0.0
    return float(workers.sum(np.array([total]))[0]) / len(queries)


LOGITS = 2**26  # of a block of validation, 256 MB


def _own_sums(everybody: list[list[float]], workers: Workers) -> npt.NDArray[np.float64]:
    """What this worker had; of another crew, worker 0 takes over all."""
    if len(everybody) == workers.size:
        return np.array(everybody[workers.rank])
    return np.array(everybody).sum(0) if workers.rank == 0 else np.zeros(2)


def _random(workers: Workers) -> list[torch.Tensor]:
    """The random states that dropout draws by."""
    states = [torch.get_rng_state()]
    if workers.device.type == "cuda":
        states.append(torch.cuda.get_rng_state(workers.device))
    return states


def _set_random(everybody: list[list[torch.Tensor]], workers: Workers) -> None:
    """As this worker had them; another crew draws anew."""
    if len(everybody) != workers.size:
        return
    cpu, *gpu = everybody[workers.rank]
    torch.set_rng_state(cpu)
    for state in gpu[: workers.device.type == "cuda"]:
        torch.cuda.set_rng_state(state, workers.device)


def _patience_spent(curve: Curve, validated: bool, patience: int) -> bool:
    return validated and len(curve.loss) - curve.best_epoch >= patience
