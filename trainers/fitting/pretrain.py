"""Fits on Ray Train: closed forms sum over the workers' users, neural terms train with DDP; one loop for both."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from trainers.encoders import (
    ENCODERS,
    ClosedForm,
    Encoder,
    Neural,
    Statistics,
    TermSettings,
)
from trainers.encoders.base import PREFIX
from trainers.fitting.fits import NOTES_FILE, Fits
from trainers.fitting.handed import PROGRESS_FILE, Handed, partial_of
from trainers.fitting.request import PLACES, Fit
from trainers.fitting.watchdog import Watchdog
from trainers.log import DAY, Queries, TrainingData
from trainers.model import ModelSettings
from trainers.remote import reason
from trainers.spent import Spent, Starter, Watch, unspent
from trainers.storage.fetched import open_training
from trainers.storage.place import Place
from trainers.training.checkpoints import Checkpoints, name_of
from trainers.training.computing import PLAIN, ComputeSettings
from trainers.training.curve import Curve
from trainers.training.loop import Training, optimise
from trainers.training.optimise import OptimiseSettings
from trainers.training.workers import ALONE, Workers

CHECKPOINTS = "checkpoints"
HUNG = "hung-"
"""Begins the name of a file, with the worker's rank: where it was when it ended itself, since nothing went on."""


@dataclass(frozen=True)
class Resources:
    """What a fit may use: 0 workers run it inside this process (Ray Train's local mode, no cluster needed); of
    (fewest, most) Ray Train takes as many as the cluster has room for, and goes on with fewer when it loses some."""

    workers: int | tuple[int, int] = 0
    gpu: bool = False
    max_failures: int = 0
    compute: ComputeSettings = PLAIN

    @property
    def most(self) -> int:
        """How many workers there may be."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    @property
    def crew(self) -> str:
        """`2`, or `2 to 8`."""
        return str(self.workers) if isinstance(self.workers, int) else "{} to {}".format(*self.workers)


def fit(
    requests: Sequence[Fit],
    resources: Resources = Resources(),
    spent: Callable[[Spent], None] = unspent,
) -> list[Fits]:
    """Run fits one after the other on one crew of workers, each into its folder `out`, whole or not at all.

    A later request may start from the folder of an earlier one. Requests whose folder is there are done already.

    Args:
        spent: called with what the workers that came to the end spent and this process does not see.

    Raises:
        RuntimeError: a worker failed (more than `resources.max_failures` times); the message is the worker's.
    """
    todo = [request for request in requests if not Fits(Path(request.out)).whole]
    if todo:
        handed = [Handed(request) for request in todo]
        for each in handed:
            each.give()
        spent(_launch(todo, resources))
        for each in handed:
            each.take()
        for each in handed:
            each.close()
    return [Fits(Path(request.out)) for request in requests]


def _launch(requests: list[Fit], resources: Resources) -> Spent:
    logging.getLogger("ray.train").setLevel(logging.WARNING)  # it reports every epoch; `watch` does that
    trainer = TorchTrainer(
        fit_all,
        train_loop_config={
            "requests": [asdict(request) for request in requests],
            "compute": resources.compute.model_dump(),
            "watched": bool(resources.workers),  # in the process of a person there is nothing to start again
            "starter": asdict(Starter.here()),
        },
        torch_config=TorchConfig(timeout_s=resources.compute.timeout),
        scaling_config=ScalingConfig(num_workers=resources.workers, use_gpu=resources.gpu),
        run_config=RunConfig(
            name=requests[0].name(),
            **_ray_storage(requests[0]),
            failure_config=FailureConfig(max_failures=resources.max_failures),
        ),
    )
    os.environ["RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"] = str(resources.compute.timeout)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        ended = trainer.fit()
    except ray.train.TrainingFailedError as error:
        failures = getattr(error, "worker_failures", {}).values()
        hung = _hung(requests, resources.most)
        reasons = "; ".join(dict.fromkeys(_told(failure, resources, hung) for failure in failures))
        raise RuntimeError(f"the fit on {resources.crew} workers failed: {reasons or error}") from error
    except (ArithmeticError, ValueError) as error:  # local mode hands on what was raised
        raise RuntimeError(f"the fit failed: {reason(error)}") from error
    except SystemExit as error:  # Ray's answer to an interrupt: exit code 0, with the work not done
        raise KeyboardInterrupt from error
    finally:
        # Ray leaves its own handler there, and with it a controller of 250 MB.
        signal.signal(signal.SIGINT, interrupt)
    return Spent(*ended.return_value)


def _ray_storage(request: Fit) -> dict[str, Any]:
    """Where Ray Train keeps what it knows of a fit."""
    if request.through is not None:
        place = Place(request.through).child("ray-train")
        return {"storage_path": place.path, "storage_filesystem": place.filesystem}
    storage = Path(request.out).parent / "ray-train"
    storage.mkdir(parents=True, exist_ok=True)
    return {"storage_path": str(storage.absolute())}


def _told(failure: BaseException, resources: Resources, hung: str) -> str:
    """Why a worker failed. Those that wait for one that hangs, and Ray, say no more than that they waited."""
    said = str(failure).lower()
    if hung or "timed out" in said or "health check has been hanging" in said:
        where = f": {hung}" if hung else ""
        return f"a worker gave no answer for {resources.compute.timeout} s (`train.timeout`){where}"
    return reason(failure)


def _hung(requests: Sequence[Fit], workers: int) -> str:
    """Where those workers were that ended themselves; empty where none did."""
    words = []
    for request in requests:
        for rank in range(workers):
            with contextlib.suppress(FileNotFoundError):
                words.append(Handed(request).said(f"{HUNG}{rank}"))
    return "; ".join(words)


def fit_all(config: dict[str, Any]) -> list[float]:
    """What every worker runs; returns what all of them together spent that their starter does not see."""
    workers = replace(Workers.of_ray(), watched=config["watched"])
    compute = ComputeSettings.model_validate(config["compute"])
    watch, spent = Watch(Starter(**config["starter"]), workers.device), np.zeros(2)
    for handed in (Handed(Fit(**entry)) for entry in config["requests"]):
        request = handed.receive()
        if not Fits(Path(request.out)).whole:  # it is where an interrupted launch had ended it
            _fit_terms(handed, request, workers, compute)
        spent += workers.sum(np.array(watch.read()))
        # A barrier: the next request may start from this one's folder.
        ray.train.report({"done": request.out})
    return [float(seconds) for seconds in spent]


@contextlib.contextmanager
def _watched(handed: Handed, workers: Workers, compute: ComputeSettings) -> Iterator[Workers]:
    """A worker that ends itself where no step of its training begins for `train.timeout` seconds."""

    def bark(where: str) -> None:
        handed.leave(f"{HUNG}{workers.rank}", f"worker {workers.rank} was at {where}")
        os._exit(1)

    if not workers.watched:
        yield workers
        return
    with Watchdog(compute.timeout, bark) as dog:
        yield replace(workers, beat=dog.beat)


def _fit_terms(handed: Handed, request: Fit, workers: Workers, compute: ComputeSettings) -> None:
    settings = ModelSettings.model_validate({"terms": request.terms})
    everybody = any(ENCODERS[term.kind].needs_everybody(term) for term in settings.terms)
    shard = None if everybody else (workers.rank, workers.size)
    data = open_training(request.log, request.vocabulary, Path(request.data), shard)
    fitted: list[tuple[TermSettings, Statistics | Encoder, Curve | None]] = []
    for term in settings.terms:
        torch.manual_seed(request.seed)
        encoder = ENCODERS[term.kind](term, len(data.catalogue))
        if isinstance(encoder, ClosedForm):
            fitted.append((term, _sums(encoder, request, data, workers), None))
        else:
            assert isinstance(encoder, Neural)
            fitted.append((term, encoder, _train(encoder, handed, request, data, workers, compute)))
    if workers.rank == 0:
        partial = partial_of(request.out)
        Fits(partial).write(fitted)
        (partial / PROGRESS_FILE).unlink(missing_ok=True)
        shutil.rmtree(request.out, ignore_errors=True)
        os.replace(partial, request.out)
        shutil.rmtree(Path(request.out) / CHECKPOINTS, ignore_errors=True)
        handed.send()


def _sums(encoder: ClosedForm, request: Fit, data: TrainingData, workers: Workers) -> Statistics:
    """The sums over all users of a closed form; in fine-tuning, those of pretraining and the window's beside them,
    under the curve of pretraining."""

    def over_all(data: TrainingData) -> Statistics:
        sums = encoder.statistics(data, data.shard(workers.rank, workers.size))
        return {name: workers.sum(sums[name]) for name in sorted(sums)}

    start = Fits(Path(request.start)).statistics(encoder.settings) if request.start is not None else None
    if start is None:  # nothing to start from, or a search has changed what the sums depend on
        encoder.prepare(data, repeats=request.repeats, seed=request.seed)
        start = over_all(data)
    else:
        encoder.settle(start)
    if request.window_days is None:
        return start
    window = over_all(replace(data, since=data.end - request.window_days * DAY))
    return {
        name: array
        if name.startswith(PREFIX)
        else array + np.asarray(request.passes * window[name], array.dtype)
        for name, array in start.items()
    }


def _train(
    encoder: Neural,
    handed: Handed,
    request: Fit,
    data: TrainingData,
    workers: Workers,
    compute: ComputeSettings,
) -> Curve:
    label = encoder.settings.label
    if request.start is not None:
        start = Fits(Path(request.start)).state(encoder.settings)
        if start is None:
            raise ValueError(
                f"`{label}`: {request.start} holds no term fitted with the same settings to start from."
            )
        encoder.load(start)
    else:
        encoder.begin(data, repeats=request.repeats, seed=request.seed, workers=workers)
    moments = data.moments(data.users)
    if request.window_days is not None:
        moments = recent(moments, data.end - request.window_days * DAY, workers)
    settings = (
        OptimiseSettings(**request.optimise[label])
        if label in request.optimise
        else encoder.settings.training
    )
    made_by = {key: value for key, value in asdict(request).items() if key not in PLACES}
    checkpoints = Checkpoints(
        partial_of(request.out) / CHECKPOINTS / label, compute.checkpoint.keep, {**made_by, "term": label}
    )

    def keep(training: Training) -> None:
        if workers.rank == 0:
            checkpoints.write(training)
            handed.mirror(partial_of(request.out))

    resume = _resume(checkpoints, label, request, workers)
    with _watched(handed, workers, compute) as watched:
        return optimise(
            encoder,
            data,
            moments,
            settings,
            repeats=request.repeats,
            seed=request.seed,
            epochs=request.epochs.get(label),
            compute=compute,
            workers=watched,
            resume=resume,
            keep=keep,
            after_epoch=lambda curve: _report(curve, label, handed, request, workers),
        )


def recent(moments: Queries, since: float, workers: Workers = ALONE) -> Queries:
    """The moments at or after a time; ValueError where no worker has any."""
    index = moments.time >= since
    if not any(workers.lengths(int(index.sum()))):
        raise ValueError(
            "the fine-tuning window must hold at least one training moment; raise `finetune.window_days`."
        )
    return moments.take(index.nonzero()[0])


def _report(curve: Curve, label: str, handed: Handed, request: Fit, workers: Workers) -> None:
    """After each epoch a line for whoever waits."""
    metrics = {"term": label, "epoch": len(curve.loss), "loss": curve.loss[-1]}
    if workers.rank == 0:
        partial = partial_of(request.out)
        partial.mkdir(parents=True, exist_ok=True)
        said = json.dumps({**metrics, "validation": curve.validation[-1:]})
        (partial / PROGRESS_FILE).write_text(said)
        handed.mirror(partial)
    ray.train.report(metrics)


def _resume(checkpoints: Checkpoints, label: str, request: Fit, workers: Workers) -> Training | None:
    """Where an interrupted training of this term was; all workers take the checkpoint that worker 0 finds."""
    found, notes = [-1, -1], []
    if workers.rank == 0:
        name, broken = checkpoints.sound()
        notes = [f"`{label}`: the checkpoint {each} is broken and was passed over" for each in broken]
        if name is not None:
            found = [int(number) for number in Path(name).stem.split("-")]
            notes.append(f"`{label}`: went on after {found[0]} epochs and {found[1]} batches")
        for word in sorted(partial_of(request.out).glob(f"{HUNG}*")):
            notes.append(f"`{label}`: {word.read_text()} when nothing went on, and was started again")
            word.unlink()
        if notes:
            with (partial_of(request.out) / NOTES_FILE).open("a") as file:
                file.writelines(f"{note}\n" for note in notes)
    epochs, batches = workers.first(np.array(found)).tolist()
    return None if epochs < 0 else checkpoints.read(name_of(epochs, batches))
