"""The training loop of neural terms: one path for one worker and for many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.parallel import DistributedDataParallel

from trainers.curve import Curve
from trainers.encoders.mlp import Mlp
from trainers.forgetting import build
from trainers.histories import Histories
from trainers.log import DAY, Queries, TrainingData
from trainers.losses import likelihood
from trainers.optimise import OptimiseSettings
from trainers.workers import ALONE, Workers

State = dict[str, torch.Tensor]


@dataclass
class Training:
    """A training under way: what it takes to go on with it after a crash (dropout draws anew)."""

    curve: Curve
    best: State
    module: State
    optimiser: dict[str, Any]


def example_weights(
    data: TrainingData, moments: Queries, settings: OptimiseSettings
) -> npt.NDArray[np.float64]:
    """[Q] the retention of each training moment's age at the cut: the forgetting term in the loss."""
    forgetting = build(settings.forgetting)
    user = np.searchsorted(data.log.offsets, moments.begin, side="right") - 1
    last = data.log.moments[data.stop[user] - 1]
    later = last - data.log.moments[moments.end]  # the moment's own events begin at row `end`
    return forgetting.retention((data.end - moments.time) / DAY, later.astype(np.float64))


def optimise(
    encoder: Mlp,
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
    """Train `encoder` by likelihood on `moments`; it ends with the parameters of the best epoch.

    A step's loss is Σ w·nll / Σ w over its batch, w the retention of the moment's age at the cut; the batches are the
    same for any number of workers, and each worker computes its share of every batch.

    Args:
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
    if resume is None:
        curve, best = Curve(), _copy(module)
        if validation is not None:
            curve.start = validation_loss(encoder, data, validation, repeats, workers)
    else:
        curve, best = resume.curve, resume.best
        module.load_state_dict(resume.module)
        optimiser.load_state_dict(resume.optimiser)
    wrapped = DistributedDataParallel(module) if workers.size > 1 else module

    total = epochs if epochs is not None else settings.epochs
    while len(curve.loss) < total and not _patience_spent(curve, validation is not None, settings.patience):
        order = np.random.default_rng((seed, len(curve.loss))).permutation(len(moments))
        curve.loss.append(
            _epoch(
                encoder, wrapped, optimiser, data, moments, weights, order, settings.batch, repeats, workers
            )
        )
        if validation is None:
            curve.best_epoch, best = len(curve.loss), _copy(module)
        else:
            curve.validation.append(validation_loss(encoder, data, validation, repeats, workers))
            assert curve.start is not None
            if curve.validation[-1] < min([curve.start, *curve.validation[:-1]]):
                curve.best_epoch, best = len(curve.loss), _copy(module)
        after_epoch(Training(curve, best, _copy(module), optimiser.state_dict()))
    module.load_state_dict(best)
    module.to("cpu")
    return curve


def _epoch(
    encoder: Mlp,
    module: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    data: TrainingData,
    moments: Queries,
    weights: npt.NDArray[np.float64],
    order: npt.NDArray[np.int64],
    batch: int,
    repeats: bool,
    workers: Workers,
) -> float:
    module.train()
    total = mass = 0.0
    for start in range(0, len(order), batch):
        everybody = order[start : start + batch]
        scale = float(weights[everybody].sum())
        if scale == 0:  # nothing is left of any of them
            continue
        mine = everybody[workers.rank :: workers.size]
        share = (
            weights[mine] / scale
        )  # in float64: old moments' weights are too small for the network's floats
        if not len(mine):  # a last batch smaller than the crew: take part in the step, count for nothing
            mine, share = everybody[:1], np.zeros(1)
        nll = _nll(encoder, module, data, moments.take(mine), repeats, workers.device)
        weighted = (nll * torch.from_numpy(share).to(nll)).sum()
        optimiser.zero_grad()
        # DDP averages gradients over workers; `size` turns that average into the batch's sum.
        (weighted * workers.size).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        total += float(weighted.detach()) * scale
        mass += float(share.sum()) * scale
    total, mass = workers.sum(np.array([total, mass]))
    if not np.isfinite(total):
        raise FloatingPointError(
            f"`{encoder.settings.label}`: the training loss is {total / mass}; lower `rate` (now in use: "
            f"{optimiser.param_groups[0]['lr']:g})."
        )
    return float(total / mass)


def validation_loss(
    encoder: Mlp, data: TrainingData, queries: Queries, repeats: bool, workers: Workers = ALONE
) -> float:
    """Mean negative log-likelihood of the queries' relevant items, nats an item."""
    module = encoder.module
    module.eval()
    total = 0.0
    with torch.no_grad():
        mine = np.arange(len(queries))[workers.rank :: workers.size]
        for start in range(0, len(mine), 512):
            block = queries.take(mine[start : start + 512])
            total += float(_nll(encoder, module, data, block, repeats, workers.device).double().sum())
    return float(workers.sum(np.array([total]))[0]) / len(queries)


def _nll(
    encoder: Mlp,
    module: torch.nn.Module,
    data: TrainingData,
    queries: Queries,
    repeats: bool,
    device: torch.device,
) -> torch.Tensor:
    # Of a long history the encoder reads the end; to leave out what was taken before, all of it is needed.
    first = (
        np.maximum(queries.begin, queries.end - encoder.settings.max_history) if repeats else queries.begin
    )
    recent = replace(queries, begin=first)
    histories = Histories.of(data.log, recent, data.column, encoder.items)
    logits_QI = module(*(tensor.to(device) for tensor in encoder.inputs(histories)))
    offsets_Q1 = torch.from_numpy(np.asarray(queries.target_offsets, np.int64)).to(device)
    targets_R = torch.from_numpy(np.asarray(queries.targets, np.int64)).to(device)
    if not repeats:
        seen = torch.zeros(logits_QI.shape, dtype=torch.bool, device=device)
        seen[torch.from_numpy(histories.query), torch.from_numpy(histories.columns.astype(np.int64))] = True
        query_R = torch.repeat_interleave(torch.arange(len(queries), device=device), torch.diff(offsets_Q1))
        seen[query_R, targets_R] = False
        logits_QI = logits_QI.masked_fill(seen, -torch.inf)
    return likelihood(logits_QI, offsets_Q1, targets_R)


def _patience_spent(curve: Curve, validated: bool, patience: int) -> bool:
    return validated and len(curve.loss) - curve.best_epoch >= patience


def _copy(module: torch.nn.Module) -> State:
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
