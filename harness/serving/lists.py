"""Histories as a caller writes them down: lists of item ids and times, checked row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.sources import nearest
from trainers.log import PackedLog, Queries

Lists = tuple[Sequence[str], Sequence[float], Sequence[float] | None]
"""Item ids, times and weights of one history."""


def seconds(value: Any, row: int) -> float:
    """The moment `at` of a row as unix seconds; ValueError where it is none."""
    (moment,) = _numbers([value], "at", row)
    return float(moment)


def _numbers(values: Sequence[Any], name: str, row: int) -> npt.NDArray[np.float64]:
    """Finite numbers, whole or not; text, dates and gaps are none."""
    array = np.asarray(values if len(values) else np.zeros(0))
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        wanted = "finite numbers >= 0" if name == "weights" else "unix seconds"
        wrong = next((value for value in values if not _is_number(value)), values)
        raise ValueError(f"`{name}` must be {wanted}, but row {row} has one that is no number: {wrong!r}.")
    return array.astype(np.float64)


def _is_number(value: Any) -> bool:
    array = np.asarray(value)
    return array.ndim == 0 and array.dtype.kind in "iuf" and bool(np.isfinite(array))


@dataclass(frozen=True)
class Numbering:
    """The numbers that a package gives to names.

    Attributes:
        column_of: the column of each item id; others are `items`.
        items: how many columns there are.
        event_types: in order of number.
        category: int32 [items + 1] each column's category.
    """

    column_of: dict[str, int]
    items: int
    event_types: list[str]
    category: npt.NDArray[np.int32]

    def pack(
        self,
        events: Sequence[Lists],
        at: Sequence[Any],
        types: Sequence[Sequence[str] | None] | None = None,
    ) -> tuple[PackedLog, Queries]:
        """The histories as a log of columns, a user for each, with a query at each one's moment.

        Args:
            events: of each query, in any order; what is at or after its moment is left out.
            at: unix seconds.
            types: the names of each query's event types; type number 0 where a query has none.

        Raises:
            ValueError: lists of one query differ in length, a time is not a finite number, a weight is not one ≥ 0,
                or an event type is not one of the model's.
        """
        moments = [seconds(moment, row) for row, moment in enumerate(at)]
        kept = [
            self._row(row, lists, moment, types[row] if types else None)
            for row, (lists, moment) in enumerate(zip(events, moments, strict=True))
        ]
        offsets = np.concatenate(([0], np.cumsum([len(part[0]) for part in kept]))).astype(np.int64)
        columns, times, weights, kinds = (
            np.concatenate([part[i] for part in kept]) if kept else np.zeros(0) for i in range(4)
        )
        log = PackedLog(
            offsets,
            columns.astype(np.int32),
            times.astype(np.float64),
            weights.astype(np.float32),
            self.items + 1,
            kinds.astype(np.int16),
            self.category,
        )
        nobody = np.zeros(0, np.int64)
        return log, Queries(
            np.asarray(moments, np.float64),
            offsets[:-1],
            offsets[1:],
            np.zeros(len(offsets), np.int64),
            nobody,
        )

    def _row(
        self, row: int, lists: Lists, moment: float, types: Sequence[str] | None
    ) -> tuple[npt.NDArray[Any], ...]:
        """Columns, times, weights and type numbers of one row, oldest first, strictly before its moment."""
        items, times, weights = lists
        amounts = len(times) if weights is None else len(weights)
        if not len(items) == len(times) == amounts:
            raise ValueError(
                f"`items`, `times` and `weights` of a row must be of one length, but row {row} has "
                f"({len(items)}, {len(times)}, {amounts})."
            )
        clock = _numbers(times, "times", row)
        weight = np.ones(len(clock)) if weights is None else _numbers(weights, "weights", row)
        if (weight < 0).any():
            raise ValueError(f"`weights` must be finite numbers >= 0, but row {row} has {weight.min():g}.")
        columns = np.array([self.column_of.get(str(item), self.items) for item in items], np.int32)
        kinds = np.zeros(len(clock), np.int16) if types is None else self._types(types, len(clock), row)
        order = np.argsort(clock, kind="stable")
        order = order[clock[order] < moment]
        return columns[order], clock[order], weight[order].astype(np.float32), kinds[order]

    def _types(self, names: Sequence[str], events: int, row: int) -> npt.NDArray[np.int16]:
        """[n] the numbers of the event types of a row."""
        if len(names) != events:
            raise ValueError(
                f"`types` of a row must be one for each event, but row {row} has {len(names)} for {events} events."
            )
        for name in names:
            if name not in self.event_types:
                raise ValueError(
                    f"`types` must be event types that the model knows, but row {row} has {name!r}; "
                    f"{nearest(str(name), self.event_types)}."
                )
        return np.array([self.event_types.index(name) for name in names], np.int16)
