"""The event log of a configuration: its columns and first rows."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from harness.data.items import read_items
from harness.data.read import read_batches
from harness.data.sources import Source, find_sources
from harness.data.validate import validate
from harness.doctor.check import Check, Unwell
from harness.settings import RunSettings


def _events(settings: RunSettings) -> str:
    sources = find_sources(settings.data.event_locations)
    counts = [_first_rows(source, settings) for source in sources]
    names = ", ".join(source.name for source in sources[:3]) + (", …" if len(sources) > 3 else "")
    return f"{names}: {sum(counts):,} rows looked at"


def _first_rows(source: Source, settings: RunSettings) -> int:
    """Read the first rows of a file; `Unwell` where more of them are bad than `prepare` would let pass."""
    data = settings.data
    rows, reasons = 0, Counter[str]()
    for batch in islice(read_batches(source, data.roles), 1):
        rejects = validate(batch, data).rejects
        rows = len(batch.rows) + len(batch.malformed)
        reasons.update(rejects.column("reason").to_pylist())
    if not rows:
        raise Unwell(f"`{source.name}` has no rows", "remove it or replace it")
    if reasons.total() > data.max_rejected * rows:
        reason, count = reasons.most_common(1)[0]
        raise Unwell(
            f"{reasons.total():,} of the first {rows:,} rows of `{source.name}` are bad, {count:,} of them: {reason}",
            "mend the file, the `data.columns` or the `data.time_unit`; `data.max_rejected` lets more pass",
        )
    return rows


def _items(settings: RunSettings) -> str:
    if settings.data.items is None:
        return "none"
    (source,) = find_sources([settings.data.items])
    return f"{source.name}: {len(read_items(source, settings.data).table):,} items"


LOG = (
    Check("data", _events, "mend the file, or what `data` says of it"),
    Check("items", _items, "mend the file, or leave `data.items` out"),
)
