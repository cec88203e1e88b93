"""A stage of a run, validation or test: what is fitted on, what is asked, and how a model answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

import evaluators
from evaluators import Csr, Intervals, Metric
from evaluators.evaluation import Hides
from evaluators.known import Log, facts_of
from evaluators.metrics import Categories
from harness.data import DataError, Store
from harness.serving.package import Reader
from harness.splits import SplitSettings
from trainers.histories import Histories
from trainers.log import PackedLog, Queries, TrainingData
from trainers.model import Model

StageName = Literal["val", "test"]
Divided = TypeVar("Divided", evaluators.Split, list[evaluators.Split])
BLOCK = 256  # queries scored and ranked at once
KEPT_EVENTS = 5_000_000  # 400 MB of histories


@dataclass(frozen=True)
class ModelScorer:
    """A model asked about a stage's queries, in the stage's catalogue."""

    stage: Stage
    model: Model

    def score(self, index: slice) -> npt.NDArray[np.float64]:
        return self.model.score(self.stage.histories(index))


@dataclass(frozen=True)
class ForeignScorer:
    """A model with a catalogue of its own, asked about a stage's queries in the stage's catalogue.

    Items that the model does not know are never recommended by it; those that only it knows are not asked for.

    Attributes:
        reader: the stage's store, read as the model's package numbers it.
    """

    stage: Stage
    reader: Reader

    def score(self, index: slice) -> npt.NDArray[np.float64]:
        histories = self.reader.histories(self.stage.queries.take(index))
        return translated(self.reader.package.model.score(histories), self.reader.column, self.stage)


def translated(
    own: npt.NDArray[np.floating], column: npt.NDArray[np.integer], stage: Stage
) -> npt.NDArray[np.float64]:
    """Scores [B, J] of a catalogue of one's own in that of a stage [B, I]: -inf for what only the stage knows.

    column [V]: vocabulary number -> column of `own`, -1 where there is none.
    """
    at = column[stage.split.catalogue]
    scores = np.full((len(own), len(at)), -np.inf)
    scores[:, at >= 0] = own[:, at[at >= 0]]
    return scores


@dataclass(frozen=True)
class Stage:
    """A split of a store, with everything that fits and evaluations need of it."""

    store: Store
    split: evaluators.Split
    repeats: bool
    settings: SplitSettings
    half_life: float | None = None
    """In days; what the metrics of staleness call old."""

    @classmethod
    def of(cls, store: Store, settings: SplitSettings, stage: StageName, repeats: bool) -> Stage:
        """Split the store; `DataError` where nothing is left to fit on or to ask."""
        try:
            split = _divided(evaluators.split, store, settings, stage, repeats)
        except ValueError as error:
            raise DataError(f"{stage}: {error}") from None
        return cls(store, split, repeats, settings)

    @classmethod
    def rolls(cls, store: Store, settings: SplitSettings, stage: StageName, repeats: bool) -> list[Stage]:
        """A stage for each cut of the protocol, oldest first: all but the last end where the next begins."""
        try:
            splits = _divided(evaluators.rolls, store, settings, stage, repeats)
        except ValueError as error:
            raise DataError(f"{stage}: {error}") from None
        return [cls(store, split, repeats, settings) for split in splits]

    @property
    def log(self) -> PackedLog:
        return self.store.log

    @cached_property
    def queries(self) -> Queries:
        """The stage's queries in the form that encoders read."""
        asked = self.split.queries
        return Queries(asked.time, asked.begin, asked.end, asked.relevant_offsets, asked.relevant)

    @cached_property
    def training(self) -> TrainingData:
        """What may be fitted on; training rows are a prefix of each user's, under either protocol."""
        starts = self.store.offsets[:-1]
        trained = np.concatenate(([0], np.cumsum(self.split.train)))
        stop = starts + trained[self.store.offsets[1:]] - trained[starts]
        end = float(self.store.times[self.split.train].max())
        return TrainingData(self.log, stop, self.split.catalogue, self.split.column, end)

    def save_training(self, folder: Path, validation: Queries | None) -> None:
        """Write the training data for workers to map, once."""
        if not (folder / "end.npy").exists():
            replace(self.training, validation=validation).save(folder)

    def histories(self, index: slice) -> Histories:
        """The histories of a block of the queries; kept where all of them are small, since a search asks often."""
        key = index.indices(len(self.queries))
        if key in self._kept:
            return self._kept[key]
        histories = Histories.of(
            self.log, self.queries.take(index), self.split.column, len(self.split.catalogue)
        )
        if self._small:
            self._kept[key] = histories
        return histories

    @cached_property
    def _kept(self) -> dict[tuple[int, int, int], Histories]:
        return {}

    def part(self, index: npt.NDArray[np.int64]) -> Stage:
        """The stage with some of its queries, in the order given; what is fitted on stays the same."""
        return replace(self, split=replace(self.split, queries=self.split.queries.subset(index)))

    @property
    def seen(self) -> Hides | None:
        """What may not be shown again, where nothing is taken twice."""
        return None if self.repeats else self._seen

    def _seen(self, index: slice) -> Csr:
        """The columns of a block; kept as histories are, since no model changes them."""
        key = index.indices(len(self.queries))
        if key in self._kept_seen:
            return self._kept_seen[key]
        seen = evaluators.Seen(self.split.queries, np.asarray(self.store.items), self.split.column)(index)
        if self._small:
            self._kept_seen[key] = seen
        return seen

    @cached_property
    def _small(self) -> bool:
        """Whether what blocks of queries have of histories is kept from one model to the next."""
        return int((self.queries.end - self.queries.begin).sum()) <= KEPT_EVENTS

    @cached_property
    def _kept_seen(self) -> dict[tuple[int, int, int], Csr]:
        return {}

    @cached_property
    def facts(self) -> evaluators.Facts:
        """What is known beside the answers; nothing of it is computed before a metric asks."""
        store = self.store
        log = Log(
            np.asarray(store.offsets),
            np.asarray(store.items),
            np.asarray(store.times),
            None if (np.asarray(store.weights) == 1).all() else store.weights,
            self._categories,
            about=None if self._categories is None else store.category[np.asarray(store.items)],
        )
        return facts_of(self.split, log, repeats=self.repeats, half_life=self.half_life)

    @property
    def _categories(self) -> Categories | None:
        listed = self.store.categories
        if listed is None or not any(listed):
            return None
        number = {name: n for n, name in enumerate(self.store.category_names.tolist())}
        for name in sorted({name for names in listed for name in names} - set(number)):
            number[name] = len(number)  # one that is nobody's main category
        return Categories.of([[number[name] for name in names] for names in listed], len(number))

    def evaluate(
        self, model: Model | evaluators.Scorer, metrics: tuple[str, ...], k: tuple[int, ...]
    ) -> evaluators.Evaluation:
        """Answer every query with the model and rank the whole catalogue; `DataError` where a metric lacks its data."""
        scorer = ModelScorer(self, model) if isinstance(model, Model) else model
        asked = evaluators.resolve(metrics, k)
        self._refuse(asked)
        return evaluators.evaluate(
            scorer, self.split.queries, asked, seen=self.seen, facts=self.facts, block=BLOCK
        )

    def _refuse(self, metrics: list[Metric]) -> None:
        try:
            evaluators.check_needs(metrics, self.facts)
        except ValueError as error:
            raise DataError(f"`evaluate.metrics`: {error}") from None

    @property
    def users(self) -> npt.NDArray[np.integer]:
        """[Q] whose query it is."""
        return self.split.queries.user

    def audit(self) -> evaluators.Audit:
        """Of the split, and of test queries beside the validation queries that choices were made on."""
        return self._audit

    @cached_property
    def _audit(self) -> evaluators.Audit:
        tuned_on = None
        if self.split.stage == "test":
            with contextlib.suppress(ValueError):  # no validation query, no choice
                val = _divided(evaluators.split, self.store, self.settings, "val", self.repeats)
                tuned_on = val.queries
        return evaluators.audit(self.split, *_arrays(self.store), tuned_on=tuned_on)

    def report(self, evaluation: evaluators.Evaluation, how: Intervals) -> dict[str, Any]:
        """The JSON of an evaluation: protocol, stage, counts, metrics with intervals, segments, audit."""
        store = self.store
        if how.method != "percentile" and len(np.unique(self.users)) < 2:
            raise DataError(
                f"`evaluate.interval: {how.method}` needs queries of two users, but {self.split.stage} has one user; "
                "take `percentile`, or move `split.cuts`."
            )
        return {
            "protocol": self.split.protocol,
            "stage": self.split.stage,
            "queries": len(self.queries),
            "users": len(np.unique(self.users)),
            "catalogue": len(self.split.catalogue),
            "metrics": evaluation.summary(how),
            "segments": evaluators.segments(
                evaluation,
                self.split,
                np.asarray(store.items),
                np.asarray(store.times),
                how,
                store.category_names.tolist(),
            ),
            "audit": self.audit().to_dict(),
        }


def _arrays(store: Store) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    return np.asarray(store.offsets), np.asarray(store.items), np.asarray(store.times)


def _divided(
    how: Callable[..., Divided], store: Store, settings: SplitSettings, stage: StageName, repeats: bool
) -> Divided:
    """What `evaluators.split` or `evaluators.rolls` makes of a store by its settings."""
    return how(
        *_arrays(store),
        store.counts.items,
        protocol=settings.rule(),
        stage=stage,
        cuts=settings.cuts,
        repeats=repeats,
        horizon=settings.ahead(),
    )
