"""The measurements as `benchmarks/serving.md`."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from benchmarks.serving.measure import ITEMS, Asked, K
from harness.serving.live import LiveState

BUCKETS = ((1, 100), (100, 1000), (1000, 10**9))


def row(name: str, asked: list[Asked]) -> str:
    """A line of a table."""
    update, listed, replay, exact = (
        1000 * float(np.median([getattr(each, part) for each in asked]))
        for part in ("update", "recommend", "replay", "exact")
    )
    cells = (f"{value:.2f}" for value in (update, listed, update + listed, replay, exact))
    return f"| {name} | {len(asked):,} | {' | '.join(cells)} | {replay / (update + listed):.1f} |"


def table(rows: list[tuple[str, list[Asked]]]) -> list[str]:
    head = "| moments | update | list | both | replay | exact | replay / both |"
    return [
        f"| events of the user {head}",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(row(name, asked) for name, asked in rows if asked),
        "",
    ]


def page(
    live: LiveState, found: list[Asked], long: dict[str, list[Asked]], size: npt.NDArray[np.int64], made: str
) -> str:
    by_length = [
        (f"{low:,} to {high - 1:,}" if high < 10**9 else f"{low:,} and more", low, high)
        for low, high in BUCKETS
    ]
    errors = ", ".join(f"`{label}` {error:.1e}" for label, error in live.model.errors.items())
    within = all(each.off <= each.bound + 1e-5 for each in found)
    largest = max(found, key=lambda each: each.off)
    waited = 1000 * float(np.median([each.waited for each in found]))
    lines = [
        "# Live states beside replaying the history",
        "",
        made,
        "",
        "CPU milliseconds, the median of moments. `update`: an event, written with its state to the disk; `list`: the",
        "best ten; `replay`: the states made anew from the user's events, and a list; `exact`: the list of the model",
        "itself, from the packed history.",
        "",
        *table(
            [(name, [each for each in found if low <= each.events < high]) for name, low, high in by_length]
        ),
        f"Simulated histories, of {ITEMS} items:",
        "",
        *table(list(long.items())),
        f"An event is on the disk (`synchronous = FULL`) {waited:.0f} ms after it came, the median on a busy machine.",
        "",
        f"Curves: largest error of R: {errors}. Scores: at most {largest.off:.1e} from the exact ones "
        f"(bound there {largest.bound:.1e}; all within: {'yes' if within else 'NO'}). Lists of {K}: "
        f"{np.mean([each.alike for each in found]):.2%} of the items are the same.",
        "",
        f"A user's state: {np.median(size) / 1024:.1f} KiB (median), {np.quantile(size, 0.95) / 1024:.1f} KiB (95 %), "
        f"{size.max() / 1024:.1f} KiB (largest); it grows with the items that a user had, not with events.",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, "
        f"numpy {version('numpy')}.",
        "",
    ]
    return "\n".join(lines)
