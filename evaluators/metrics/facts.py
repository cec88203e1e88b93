"""What may be known beside the answers: of items, of histories, of events. Each part is made at first use, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from evaluators.arrays import Csr, Floats, Ints, owners, ranges

T = TypeVar("T")


@dataclass(frozen=True)
class Popularity:
    """How often each item was taken in training: events [I], people [I] (distinct users), users: how many there are."""

    events: Ints
    people: Ints
    users: int

    @cached_property
    def rank(self) -> Ints:
        """-> [I] 1 for the items with the most events, 2 for those with the next number, …

        >>> Popularity(np.array([3, 9, 3]), np.array([1, 2, 1]), 2).rank.tolist()
        [2, 1, 2]
        """
        ranks: Ints = np.unique(-self.events, return_inverse=True)[1] + 1
        return ranks


@dataclass(frozen=True)
class Categories:
    """The categories of each item, numbers below `count`: list i of `of_item` is item i's, maybe none."""

    of_item: Csr
    count: int

    @classmethod
    def of(cls, lists: list[list[int]], count: int | None = None) -> Categories:
        """From a list of numbers for each item.

        >>> Categories.of([[0, 2], [], [1]]).count
        3
        """
        offsets = np.concatenate(([0], np.cumsum([len(each) for each in lists], dtype=np.int64)))
        numbers = np.array([number for each in lists for number in each], dtype=np.int64)
        return cls(Csr(offsets, numbers), int(numbers.max(initial=-1)) + 1 if count is None else count)

    def shares(self, owner: Ints, columns: NDArray[np.integer], rows: int) -> Floats:
        """The distribution over categories of what each row holds: owner, columns [E] -> [rows, count].

        An item spreads 1 evenly over its categories (Steck 2018); a row sums to 1, or to 0 without any category.

        >>> Categories.of([[0, 1], [1], []]).shares(np.array([0, 0, 1]), np.array([0, 1, 2]), 2).tolist()
        [[0.25, 0.75], [0.0, 0.0]]
        """
        begin, end = self.of_item.offsets[columns], self.of_item.offsets[np.asarray(columns) + 1]
        width = end - begin
        cells = np.repeat(owner, width) * self.count + self.of_item.columns[ranges(begin, end)]
        mass = np.bincount(cells, np.repeat(1 / np.maximum(width, 1), width), rows * self.count)
        found = mass.reshape(rows, self.count).astype(np.float64)
        shares: Floats = found / np.maximum(found.sum(1, keepdims=True), np.finfo(float).tiny)
        return shares

    @cached_property
    def bits(self) -> NDArray[np.uint64]:
        """-> [I, ⌈count / 64⌉] each item's categories as a set of bits."""
        item, number = owners(self.of_item.offsets), self.of_item.columns.astype(np.int64)
        words = np.zeros((len(self.of_item), max(1, -(-self.count // 64))), np.uint64)
        np.bitwise_or.at(words, (item, number // 64), np.uint64(1) << (number % 64).astype(np.uint64))
        return words


@dataclass(frozen=True)
class Histories:
    """The events before each query, oldest first: list q of `columns` holds their catalogue columns, `days` [E] their
    ages at the query's moment in days."""

    columns: Csr
    days: Floats

    def of(self, queries: Ints) -> tuple[Ints, NDArray[np.integer], Floats]:
        """The events of some queries, whose numbers are `queries` [n] -> owner in 0…n-1, column, age in days."""
        begin, end = self.columns.offsets[queries], self.columns.offsets[queries + 1]
        rows = ranges(begin, end)
        return np.repeat(np.arange(len(queries)), end - begin), self.columns.columns[rows], self.days[rows]


@dataclass(frozen=True)
class Dates:
    """When items were taken in training: first [I], typical [I] (the median event), and the moments [Q] of the queries;
    unix seconds."""

    first: Floats
    typical: Floats
    moments: Floats


class Part(Generic[T]):
    """A part of `Facts`: made when first read, then kept."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, facts: None, owner: type) -> Self: ...

    @overload
    def __get__(self, facts: Facts, owner: type) -> T: ...

    def __get__(self, facts: Facts | None, owner: type) -> Self | T:
        if facts is None:
            return self
        made: T = facts.make(self.name)
        return made


class Facts:
    """What is known beside the answers of a run of Q queries over I items.

    Every part is given as a function without arguments, called once, and only if a metric asks for it.

    >>> facts = Facts(half_life=lambda: 30.0)
    >>> facts.half_life, sorted(facts.known)
    (30.0, ['half_life'])
    """

    popularity = Part[Popularity]("how often items were taken in training")
    categories = Part[Categories]("the categories of items")
    embeddings = Part[Floats]("a vector for each item")  # [I, d]
    weights = Part[Floats]("the weights or ratings of events")  # [R], aligned with `Queries.relevant`
    histories = Part[Histories]("the history of each query")
    half_life = Part[float]("a half-life in days")
    dates = Part[Dates]("when items were taken")
    repeats = Part[bool]("items that may be taken again")
    # [Q], -1 where there was no shift.
    shifts = Part[Ints]("the events since each query's user changed interest")

    parts: ClassVar[dict[str, str]] = {}

    def __init__(self, **makers: Callable[[], Any]) -> None:
        if unknown := set(makers) - set(self.parts):
            raise ValueError(
                f"facts must be of {', '.join(self.parts)}, but got {min(unknown)!r}; name one of these."
            )
        self._makers, self._made = makers, dict[str, Any]()

    @property
    def known(self) -> frozenset[str]:
        """The names of the parts that can be had."""
        return frozenset(self._makers)

    def make(self, name: str) -> Any:
        """The part of this name; ValueError where nobody knows it."""
        if name not in self._made:
            if name not in self._makers:
                raise ValueError(f"{self.parts[name]} must be known, but is not; pass `{name}` to `Facts`.")
            self._made[name] = self._makers[name]()
        return self._made[name]


Facts.parts = {name: part.what for name, part in vars(Facts).items() if isinstance(part, Part)}
