"""What happened to the rows read, and whether too many of them were set aside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from harness.data.errors import DataError
from harness.data.settings import DataSettings
from harness.data.validate import REASONS


@dataclass
class Tally:
    """Rows read, rule → rows set aside for it, and rule → the first of those."""

    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    batches: int = 0

    @property
    def rejected(self) -> int:
        return self.reasons.total()

    def add(self, rows: int, rejects: pa.Table) -> None:
        """Count a batch."""
        self.rows += rows
        self.batches += 1
        for file, row, rule in zip(
            *(rejects.column(c).to_pylist() for c in ("file", "row", "rule")), strict=True
        ):
            self.reasons[rule] += 1
            self.first.setdefault(rule, f"row {row} of `{file}`")

    def join(self, later: Tally) -> None:
        """Count what a later tally counted."""
        self.rows += later.rows
        self.batches += later.batches
        self.reasons.update(later.reasons)
        self.first = later.first | self.first

    def text(self) -> str:
        return json.dumps(vars(self))

    @classmethod
    def of(cls, text: str) -> Tally:
        content = json.loads(text)
        return cls(**content | {"reasons": Counter(content["reasons"])})

    def check(self, settings: DataSettings, what: str) -> None:
        """`DataError` where more rows were set aside than the settings let pass; it names every rule."""
        most = [f"{n} × {REASONS[rule]} ({self.first[rule]})" for rule, n in self.reasons.most_common()]
        unit = " (for the unit: `data.time_unit`)" if "wrong_unit" in self.reasons else ""
        check_limit(settings, self.rejected, self.rows, what, ", ".join(most) + unit)


def check_limit(settings: DataSettings, rejected: int, rows: int, what: str, detail: str) -> None:
    """`DataError` where `rejected` of `rows` are more than the settings let pass."""
    if rejected > settings.max_rejected * rows:
        raise DataError(
            f"At most {settings.max_rejected:.4g} of the rows of {what} may be set aside, but {rejected} of "
            f"{rows} ({rejected / rows:.4g}) were: {detail}. Correct them, or raise `data.max_rejected`."
        )


def joined(by_reason: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The sum of two counts by rule."""
    return dict(Counter(by_reason) + Counter(more))
