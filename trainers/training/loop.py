"""The training loop of neural terms: one path for one worker and for many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainers.encoders.neural import Neural
from trainers.log import Queries, TrainingData
from trainers.training.clock import Clock
from trainers.training.computing import PLAIN, ComputeSettings
from trainers.training.curve import Curve
from trainers.training.epochs import Epochs, validation_loss
from trainers.training.optimise import OptimiseSettings
from trainers.training.spread import Replicated, Spread, State
from trainers.training.touched import Touched
from trainers.training.workers import ALONE, Workers


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

    def plain(self) -> dict[str, Any]:
        """As tensors, numbers and names."""
        return {**vars(self), "curve": self.curve.to_dict()}

    @classmethod
    def of_plain(cls, saved: dict[str, Any]) -> Training:
        """What `plain` gave."""
        return cls(**{**saved, "curve": Curve(**saved["curve"])})


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
        from trainers.training.sharded import Sharded  # a second to import, which few need

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

    How much each moment counts in a step is said by `trainers.training.epochs.Epochs`; the batches are the same for any
    number of workers, and each worker computes its share of every batch.

    Args:
        moments: sorted by user and time, as `TrainingData.moments` gives them; those of the users of `data.held` alone
            where not all users' rows are here.
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
    model = spread(encoder, settings, compute, workers)
    passes = Epochs(model, data, moments, repeats, seed)

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
    clock = Clock(compute.checkpoint.minutes, workers)

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

    total = epochs if epochs is not None else settings.epochs
    while len(curve.loss) < total and not _patience_spent(curve, validation is not None, settings.patience):
        passes.turn(len(curve.loss))
        for done, summed in passes.run(len(curve.loss), batch, sums, average):
            sums = summed
            if clock.strikes():
                checkpoint(done, sums)
        curve.loss.append(passes.mean(sums))
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
