"""One pass over blocks of scores for all metrics and all cut-offs, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Bools, Csr, Floats, Ints, offsets_of, owners, ranges
from evaluators.intervals import CUSTOMARY, Intervals
from evaluators.metrics.answers import Answers
from evaluators.metrics.base import Metric, check_needs, mean_of
from evaluators.metrics.facts import Facts
from evaluators.queries import Queries
from evaluators.ranks import answer
from evaluators.scorer import Block, Scorer, blocks

NOTHING_KNOWN = Facts()


class Hides(Protocol):
    """Gives the columns that a run of queries may not be shown, as `queries.Seen` does."""

    def __call__(self, index: slice) -> Csr: ...


@dataclass(frozen=True)
class Standing:
    """How R relevant items stand, query by query: above [R] how many non-relevant items are above each, own [R] its
    score, column [R] in the catalogue, place [R] in the run's list of relevant items."""

    above: Ints
    own: NDArray[Any]
    column: Ints
    place: Ints

    def take(self, index: Ints | Bools) -> Standing:
        return Standing(self.above[index], self.own[index], self.column[index], self.place[index])


@dataclass(frozen=True)
class Evaluation:
    """What a model did with Q queries.

    metrics: those asked for; standing: of each relevant item, aligned with ``Queries.relevant``; answers: ranks, shown
    lists [Q, k_max], users, size of the catalogue, and what is known beside; values: per metric name a vector [Q], for
    the metrics that have one, NaN where a query says nothing.
    """

    metrics: tuple[Metric, ...]
    standing: Standing
    answers: Answers
    values: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.answers.users)

    @property
    def above(self) -> Ints:
        """-> [R] how many non-relevant items stand above each relevant one."""
        return self.standing.above

    @property
    def users(self) -> Ints:
        """-> [Q] whose query each is."""
        return self.answers.users

    @property
    def shown(self) -> NDArray[np.int32]:
        """-> [Q, k_max] the columns shown, best first, -1 where nothing was left."""
        return self.answers.shown

    def means(self) -> dict[str, float]:
        """The figures alone: what a search needs, at no cost."""
        return {
            metric.name: mean_of(self.values[metric.name])
            if metric.name in self.values
            else metric.mean(self.answers)
            for metric in self.metrics
        }

    def summary(self, how: Intervals = CUSTOMARY) -> dict[str, dict[str, float | None]]:
        """``{name: {mean, low, high}}`` with intervals over users; None for what no query says anything about."""
        return {
            metric.name: (
                how.of(self.values[metric.name], self.users)
                if metric.name in self.values
                else metric.estimate(self.answers, how)
            ).to_dict()
            for metric in self.metrics
        }

    def kinds(self, how: Intervals = CUSTOMARY) -> dict[str, str]:
        """Which interval `summary` really gives each metric: a figure of the whole run has its own."""
        return {metric.name: metric.kind(how) for metric in self.metrics}

    def shared(self, other: Evaluation, name: str) -> tuple[Floats, Floats, Ints]:
        """Of a metric, this one's values, another's on the same queries, and their users: those that both speak of."""
        mine, theirs = self.values[name], other.values[name]
        both = ~(np.isnan(mine) | np.isnan(theirs))
        return mine[both], theirs[both], self.users[both]

    def subset(self, index: Ints | Bools) -> Evaluation:
        """The same for some of the queries: index [n] query numbers, or a mask [Q]."""
        chosen = np.arange(len(self))[index]
        begin, end = self.answers.offsets[chosen], self.answers.offsets[chosen + 1]
        standing = self.standing.take(ranges(begin, end))
        answers = _answers(standing, offsets_of(end - begin), self.answers, chosen)
        return Evaluation(self.metrics, standing, answers, {n: v[chosen] for n, v in self.values.items()})

    def restrict(self, asked: Bools) -> Evaluation:
        """The same with some of the relevant items: asked [R]; the others are neither asked for nor in the
        way.

        Queries left with nothing relevant are dropped, and so are metrics of shown lists, which stay what they were,
        and those that have no value per query.
        """
        counts = np.bincount(owners(self.answers.offsets)[asked], minlength=len(self))
        chosen = np.flatnonzero(counts)
        metrics = tuple(m for m in self.metrics if m.name in self.values and not m.depth)
        standing = self.standing.take(asked)
        answers = _answers(standing, offsets_of(counts[chosen]), self.answers, chosen)
        return _evaluation(metrics, standing, answers)


def evaluate(
    source: Scorer | Iterable[Block],
    queries: Queries,
    metrics: Sequence[Metric],
    *,
    seen: Hides | None = None,
    facts: Facts = NOTHING_KNOWN,
    block: int = 256,
) -> Evaluation:
    """Rank the full catalogue for every query, once, for all metrics.

    source: a `Scorer`, asked for `block` queries at a time, or pairs (slice of queries, scores [B, I]) that
    together answer every query once; seen: the columns that may be neither shown nor in the way (`Seen` where
    nothing is consumed twice), None if repeats are recommended; facts: what is known beside, for the metrics that
    need it. No more than a block of scores is held, and the catalogue is never sorted.

    Raises ValueError where a metric needs what is not known, when a query is answered twice or never, when blocks
    disagree about the catalogue, and as `ranks`.

    >>> from evaluators.metrics import MRR, Coverage
    >>> queries = Queries(np.array([0, 1]), np.array([8.0, 9.0]), np.array([0, 5]), np.array([3, 6]),
    ...                   np.array([0, 1, 2]), np.array([0, 2]))
    >>> scores = np.array([[0.9, 0.1, 0.2], [0.5, 0.3, 0.4]])
    >>> evaluate([(slice(0, 2), scores)], queries, [MRR(), Coverage(1)]).means()
    {'mrr': 0.75, 'coverage@1': 0.3333333333333333}
    """
    check_needs(metrics, facts)
    depth = max((metric.depth for metric in metrics), default=0)
    above = np.empty(len(queries.relevant), dtype=np.int64)
    own = np.empty(len(queries.relevant))
    shown = np.full((len(queries), depth), -1, dtype=np.int32)
    hidden = np.zeros(len(queries), dtype=np.int64)
    times_answered = np.zeros(len(queries), dtype=np.int64)
    widths: set[int] = set()
    for index, scores in blocks(source, len(queries), block) if isinstance(source, Scorer) else source:
        begin, end, _ = index.indices(len(queries))
        of_block = slice(queries.relevant_offsets[begin], queries.relevant_offsets[end])
        relevant, barred = queries.lists(index), None if seen is None else seen(index)
        above[of_block], own[of_block], shown[index] = answer(scores, relevant, barred, depth)
        if barred is not None:
            hidden[index] = _apart(barred, relevant, np.shape(scores)[1])
        times_answered[index] += 1
        widths.add(np.shape(scores)[1])
    _check_blocks(times_answered, widths)
    standing = Standing(above, own, queries.relevant.astype(np.int64), np.arange(len(above)))
    items = widths.pop()
    candidates = items - np.diff(queries.relevant_offsets) - hidden
    whole = Answers(
        above, queries.relevant_offsets, shown, queries.user, items, candidates=candidates, facts=facts
    )
    answers = _answers(standing, queries.relevant_offsets, whole, np.arange(len(queries)))
    return _evaluation(tuple(metrics), standing, answers)


def _apart(hidden: Csr, relevant: Csr, items: int) -> Ints:
    """-> [B] how many hidden columns of each query are not relevant."""
    both = np.isin(hidden.owners() * items + hidden.columns, relevant.owners() * items + relevant.columns)
    return np.bincount(hidden.owners()[~both], minlength=len(hidden))


def _check_blocks(times_answered: Ints, widths: set[int]) -> None:
    if (times_answered != 1).any():
        at = int(np.argmax(times_answered != 1))
        raise ValueError(
            f"every query must be answered once, but query {at} of {len(times_answered)} was answered "
            f"{times_answered[at]} times; "
            "yield slices that follow one another."
        )
    if len(widths) != 1:
        raise ValueError(
            f"scores must have one column per catalogue item, but widths {sorted(widths)} were given; "
            "score the same catalogue."
        )


def _answers(standing: Standing, offsets: Ints, source: Answers, chosen: Ints) -> Answers:
    """standing, offsets: of the chosen queries; everything that a query has is taken from `source`, which has all."""
    order = np.lexsort((-standing.own, standing.above, owners(offsets)))
    nth = np.arange(len(order)) - np.repeat(offsets[:-1], np.diff(offsets))
    return Answers(
        standing.above[order] + nth,
        offsets,
        source.shown[chosen],
        source.users[chosen],
        source.catalogue,
        standing.column[order],
        standing.place[order],
        source.query[chosen],
        source.candidates[chosen],
        source.facts,
    )


def _evaluation(metrics: tuple[Metric, ...], standing: Standing, answers: Answers) -> Evaluation:
    vectors = {metric.name: metric.values(answers) for metric in metrics}
    return Evaluation(metrics, standing, answers, {name: v for name, v in vectors.items() if v is not None})
