"""One pass over blocks of scores for all metrics and all cut-offs, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Bools, Csr, Floats, Ints, offsets_of, owners, ranges
from evaluators.intervals import Method
from evaluators.metrics import Answers, Metric
from evaluators.queries import Queries
from evaluators.ranks import answer, best_first
from evaluators.scorer import Block, Scorer, blocks


class Hides(Protocol):
    """Gives the columns that a run of queries may not be shown, as `queries.Seen` does."""

    def __call__(self, index: slice) -> Csr: ...


@dataclass(frozen=True)
class Evaluation:
    """What a model did with Q queries.

    metrics: those asked for; above [R]: for each relevant item, aligned with ``Queries.relevant``, how many
    non-relevant items stand above it; answers: ranks, shown lists [Q, k_max], users and size of the
    catalogue; values: per metric name a vector [Q], for the metrics that have one.
    """

    metrics: tuple[Metric, ...]
    above: Ints
    answers: Answers
    values: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.answers.users)

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
        return {metric.name: metric.mean(self.answers) for metric in self.metrics}

    def summary(
        self, level: float = 0.95, n: int = 1000, seed: int = 0, method: Method = "percentile"
    ) -> dict[str, dict[str, float]]:
        """``{name: {mean, low, high}}`` with intervals over users."""
        return {m.name: m.estimate(self.answers, level, n, seed, method).to_dict() for m in self.metrics}

    def subset(self, index: Ints | Bools) -> Evaluation:
        """The same for some of the queries: index [n] query numbers, or a mask [Q]."""
        chosen = np.arange(len(self))[index]
        begin, end = self.answers.offsets[chosen], self.answers.offsets[chosen + 1]
        return _evaluation(
            self.metrics, self.above[ranges(begin, end)], offsets_of(end - begin), self.answers, chosen
        )

    def restrict(self, asked: Bools) -> Evaluation:
        """The same with some of the relevant items: asked [R]; the others are neither asked for nor in the
        way.

        Queries left with nothing relevant are dropped, and so are metrics that have no value per query.
        """
        counts = np.bincount(owners(self.answers.offsets)[asked], minlength=len(self))
        chosen = np.flatnonzero(counts)
        metrics = tuple(metric for metric in self.metrics if metric.name in self.values)
        return _evaluation(metrics, self.above[asked], offsets_of(counts[chosen]), self.answers, chosen)


def evaluate(
    source: Scorer | Iterable[Block],
    queries: Queries,
    metrics: Sequence[Metric],
    *,
    seen: Hides | None = None,
    block: int = 256,
) -> Evaluation:
    """Rank the full catalogue for every query, once, for all metrics.

    source: a `Scorer`, asked for `block` queries at a time, or pairs (slice of queries, scores [B, I]) that
    together answer every query once; seen: the columns that may be neither shown nor in the way (`Seen` where
    nothing is consumed twice), None if repeats are recommended.

    Raises ValueError when a query is answered twice or never, when blocks disagree about the catalogue, and
    as `ranks`.

    >>> from evaluators.metrics import MRR, Coverage
    >>> queries = Queries(np.array([0, 1]), np.array([8.0, 9.0]), np.array([0, 5]), np.array([3, 6]),
    ...                   np.array([0, 1, 2]), np.array([0, 2]))
    >>> scores = np.array([[0.9, 0.1, 0.2], [0.5, 0.3, 0.4]])
    >>> evaluate([(slice(0, 2), scores)], queries, [MRR(), Coverage(1)]).means()
    {'mrr': 0.75, 'coverage@1': 0.3333333333333333}
    """
    depth = max((metric.depth for metric in metrics), default=0)
    above = np.empty(len(queries.relevant), dtype=np.int64)
    shown = np.full((len(queries), depth), -1, dtype=np.int32)
    times_answered = np.zeros(len(queries), dtype=np.int64)
    widths: set[int] = set()
    for index, scores in blocks(source, len(queries), block) if isinstance(source, Scorer) else source:
        begin, end, _ = index.indices(len(queries))
        of_block = slice(queries.relevant_offsets[begin], queries.relevant_offsets[end])
        hidden = None if seen is None else seen(index)
        above[of_block], shown[index] = answer(scores, queries.lists(index), hidden, depth)
        times_answered[index] += 1
        widths.add(np.shape(scores)[1])
    if (times_answered != 1).any():
        at = int(np.argmax(times_answered != 1))
        raise ValueError(
            f"every query must be answered once, but query {at} of {len(queries)} was answered "
            f"{times_answered[at]} times; "
            "yield slices that follow one another."
        )
    if len(widths) != 1:
        raise ValueError(
            f"scores must have one column per catalogue item, but widths {sorted(widths)} were given; "
            "score the same catalogue."
        )
    whole = Answers(above, queries.relevant_offsets, shown, queries.user, widths.pop())
    return _evaluation(tuple(metrics), above, queries.relevant_offsets, whole, np.arange(len(queries)))


def _evaluation(
    metrics: tuple[Metric, ...], above: Ints, offsets: Ints, source: Answers, chosen: Ints
) -> Evaluation:
    """above, offsets: of the chosen queries; shown, users: taken from `source`, which has all queries."""
    answers = Answers(
        best_first(above, offsets), offsets, source.shown[chosen], source.users[chosen], source.catalogue
    )
    vectors = {metric.name: metric.values(answers) for metric in metrics}
    return Evaluation(metrics, above, answers, {name: v for name, v in vectors.items() if v is not None})
