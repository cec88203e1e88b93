"""Fits on Ray Train: closed forms sum over the workers' users, neural terms train with DDP; one loop for both."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from trainers.checkpoints import Checkpoints
from trainers.computing import PLAIN, ComputeSettings
from trainers.curve import Curve
from trainers.encoders import (
    ENCODERS,
    ClosedForm,
    Encoder,
    Neural,
    NeuralSettings,
    Statistics,
    TermSettings,
)
from trainers.encoders.base import PREFIX, EncoderSettings
from trainers.finetune import FinetuneSettings
from trainers.fits import NOTES_FILE, Fits
from trainers.log import DAY, PackedLog, Queries, TrainingData
from trainers.loop import Training, optimise
from trainers.model import ModelSettings
from trainers.optimise import OptimiseSettings
from trainers.remote import reason
from trainers.spent import Spent, Starter, Watch, unspent
from trainers.workers import Workers

PROGRESS_FILE = "progress.json"
CHECKPOINTS = "checkpoints"
PLACES = ("log", "data", "out", "start")
"""The fields of a `Fit` that say where things lie, not what they are."""


@dataclass(frozen=True)
class Fit:
    """What to fit, as plain data that travels to workers. Folders must be reachable from every worker's machine.

    Attributes:
        log, vocabulary: the packed log's folder and the size of its vocabulary.
        data: the folder of the `TrainingData`.
        out: the folder of the `Fits` to write.
        terms: the settings of the terms to fit.
        repeats: whether users take items again.
        seed: of the batches, the dropout and the first parameters.
        epochs: by label, neural terms that train for just so many epochs (a refit); others stop on validation.
        start: a folder of `Fits` to start from (fine-tuning), or none.
        window_days: only moments so many days before the end of training (fine-tuning), or all.
        passes: how often closed forms add the window's sums to those that they start from (fine-tuning).
        optimise: by label, other settings than the term's own (fine-tuning).
    """

    log: str
    vocabulary: int
    data: str
    out: str
    terms: list[dict[str, Any]]
    repeats: bool
    seed: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    start: str | None = None
    window_days: float | None = None
    passes: float = 0.0
    optimise: dict[str, dict[str, Any]] = field(default_factory=dict)

    def name(self) -> str:
        """The same for the same fit: Ray Train finds an interrupted one's checkpoints by it."""
        return "fit-" + hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def finetuned(
        self, settings: FinetuneSettings, out: str, terms: Sequence[EncoderSettings], epochs: dict[str, int]
    ) -> Fit:
        """The fit that takes terms further from where this one left them, on the recent window.

        Args:
            out: the folder of its `Fits`.
            terms: what to fine-tune.
            epochs: by label, just so many epochs (a refit); empty to stop on validation.
        """
        optimise = settings.model_dump(mode="json", exclude={"window_days", "passes"})
        return replace(
            self,
            out=out,
            terms=[term.model_dump(mode="json") for term in terms],
            start=self.out,
            window_days=settings.window_days,
            passes=settings.passes,
            epochs=epochs,
            optimise={term.label: optimise for term in terms if isinstance(term, NeuralSettings)},
        )


@dataclass(frozen=True)
class Resources:
    """What a fit may use: 0 workers run it inside this process (Ray Train's local mode, no cluster needed); of
    (fewest, most) Ray Train takes as many as the cluster has room for, and goes on with fewer when it loses some."""

    workers: int | tuple[int, int] = 0
    gpu: bool = False
    max_failures: int = 0
    compute: ComputeSettings = PLAIN

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
        spent(_launch(todo, resources))
    return [Fits(Path(request.out)) for request in requests]


def _launch(requests: list[Fit], resources: Resources) -> Spent:
    storage = Path(requests[0].out).parent / "ray-train"
    storage.mkdir(parents=True, exist_ok=True)
    logging.getLogger("ray.train").setLevel(logging.WARNING)  # it reports every epoch; `watch` does that
    trainer = TorchTrainer(
        fit_all,
        train_loop_config={
            "requests": [asdict(request) for request in requests],
            "compute": resources.compute.model_dump(),
            "starter": asdict(Starter.here()),
        },
        torch_config=TorchConfig(timeout_s=resources.compute.timeout),
        scaling_config=ScalingConfig(num_workers=resources.workers, use_gpu=resources.gpu),
        run_config=RunConfig(
            name=requests[0].name(),
            storage_path=str(storage.absolute()),
            failure_config=FailureConfig(max_failures=resources.max_failures),
        ),
    )
    os.environ["RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"] = str(resources.compute.timeout)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        ended = trainer.fit()
    except ray.train.TrainingFailedError as error:
        failures = getattr(error, "worker_failures", {}).values()
        reasons = "; ".join(dict.fromkeys(_told(failure, resources) for failure in failures))
        raise RuntimeError(f"the fit on {resources.crew} workers failed: {reasons or error}") from error
    except (ArithmeticError, ValueError) as error:  # local mode hands on what was raised
        raise RuntimeError(f"the fit failed: {reason(error)}") from error
    except SystemExit as error:  # Ray's answer to an interrupt: exit code 0, with the work not done
        raise KeyboardInterrupt from error
    finally:
        # Ray leaves its own handler there, and with it a controller of 250 MB.
        signal.signal(signal.SIGINT, interrupt)
    for request in requests:
        if not Fits(Path(request.out)).whole:
            raise RuntimeError(
                f"the fit ended without its result in {request.out}; it must be on storage that all workers share."
            )
    return Spent(*ended.return_value)


def _told(failure: BaseException, resources: Resources) -> str:
    """Why a worker failed. Those that wait for one that hangs, and Ray, say no more than that they waited."""
    said = str(failure).lower()
    if "timed out" in said or "health check has been hanging" in said:
        return f"a worker gave no answer for {resources.compute.timeout} s (`train.timeout`)"
    return reason(failure)


def _partial(out: str) -> Path:
    return Path(out).with_name(Path(out).name + ".partial")


def fit_all(config: dict[str, Any]) -> list[float]:
    """What every worker runs; returns what all of them together spent that their starter does not see."""
    workers, compute = Workers.of_ray(), ComputeSettings.model_validate(config["compute"])
    watch, spent = Watch(Starter(**config["starter"]), workers.device), np.zeros(2)
    for request in (Fit(**entry) for entry in config["requests"]):
        if not Fits(Path(request.out)).whole:  # it is where an interrupted launch had ended it
            _fit_terms(request, workers, compute)
        spent += workers.sum(np.array(watch.read()))
        # A barrier: the next request may start from this one's folder.
        ray.train.report({"done": request.out})
    return [float(seconds) for seconds in spent]


def _fit_terms(request: Fit, workers: Workers, compute: ComputeSettings) -> None:
    data = TrainingData.open(PackedLog.open(request.log, request.vocabulary), Path(request.data))
    settings = ModelSettings.model_validate({"terms": request.terms})
    fitted: list[tuple[TermSettings, Statistics | Encoder, Curve | None]] = []
    for term in settings.terms:
        torch.manual_seed(request.seed)
        encoder = ENCODERS[term.kind](term, len(data.catalogue))
        if isinstance(encoder, ClosedForm):
            fitted.append((term, _sums(encoder, request, data, workers), None))
        else:
            assert isinstance(encoder, Neural)
            fitted.append((term, encoder, _train(encoder, request, data, workers, compute)))
    if workers.rank == 0:
        partial = _partial(request.out)
        Fits(partial).write(fitted)
        (partial / PROGRESS_FILE).unlink(missing_ok=True)
        shutil.rmtree(request.out, ignore_errors=True)
        os.replace(partial, request.out)
        shutil.rmtree(Path(request.out) / CHECKPOINTS, ignore_errors=True)


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
    encoder: Neural, request: Fit, data: TrainingData, workers: Workers, compute: ComputeSettings
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
        encoder.begin(data, repeats=request.repeats, seed=request.seed)
    moments = data.moments()
    if request.window_days is not None:
        moments = recent(moments, data.end - request.window_days * DAY)
    settings = (
        OptimiseSettings(**request.optimise[label])
        if label in request.optimise
        else encoder.settings.training
    )
    made_by = {key: value for key, value in asdict(request).items() if key not in PLACES}
    checkpoints = Checkpoints(
        _partial(request.out) / CHECKPOINTS / label, compute.checkpoint.keep, {**made_by, "term": label}
    )

    def keep(training: Training) -> None:
        if workers.rank == 0:
            checkpoints.write(training)

    return optimise(
        encoder,
        data,
        moments,
        settings,
        repeats=request.repeats,
        seed=request.seed,
        epochs=request.epochs.get(label),
        compute=compute,
        workers=workers,
        resume=_resume(checkpoints, label, request, workers),
        keep=keep,
        after_epoch=lambda curve: _report(curve, label, request, workers),
    )


def recent(moments: Queries, since: float) -> Queries:
    """The moments at or after a time; ValueError where there are none."""
    index = moments.time >= since
    if not index.any():
        raise ValueError(
            "the fine-tuning window must hold at least one training moment; raise `finetune.window_days`."
        )
    return moments.take(index.nonzero()[0])


def _report(curve: Curve, label: str, request: Fit, workers: Workers) -> None:
    """After each epoch a line for whoever waits."""
    metrics = {"term": label, "epoch": len(curve.loss), "loss": curve.loss[-1]}
    if workers.rank == 0:
        partial = _partial(request.out)
        partial.mkdir(parents=True, exist_ok=True)
        said = json.dumps({**metrics, "validation": curve.validation[-1:]})
        (partial / PROGRESS_FILE).write_text(said)
    ray.train.report(metrics)


def _resume(checkpoints: Checkpoints, label: str, request: Fit, workers: Workers) -> Training | None:
    """Where an interrupted training of this term was; all workers take the checkpoint that worker 0 finds."""
    found, notes = -1, []
    if workers.rank == 0:
        name, broken = checkpoints.sound()
        notes = [f"`{label}`: the checkpoint {each} is broken and was passed over" for each in broken]
        if name is not None:
            found = checkpoints.names().index(name)
            epochs, batches = (int(number) for number in Path(name).stem.split("-"))
            notes.append(f"`{label}`: went on after {epochs} epochs and {batches} batches")
        if notes:
            with (_partial(request.out) / NOTES_FILE).open("a") as file:
                file.writelines(f"{note}\n" for note in notes)
    [found] = workers.first(np.array([found])).tolist()
    return None if found < 0 else checkpoints.read(checkpoints.names()[found])


def watch(requests: Sequence[Fit], say: Callable[[dict[str, Any]], None]) -> None:
    """Pass on the latest progress of fits that run elsewhere, if there is any."""
    for request in requests:
        try:
            say(json.loads((_partial(request.out) / PROGRESS_FILE).read_text()))
        except (FileNotFoundError, json.JSONDecodeError):  # not begun, over, or read in the middle of a write
            continue
