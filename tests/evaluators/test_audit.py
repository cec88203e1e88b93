from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evaluators import Audit, audit, split
from tests.evaluators.helpers import Packed, crowded, frame, pack, retail


def audited(log: Packed, **settings: Any) -> Audit:
    return audit(split(*log[:3], len(log.vocabulary), repeats=True, **settings), *log[:3])


@pytest.mark.parametrize("stage", ["val", "test"])
def test_one_cut_for_all_cannot_leak(stage: str) -> None:
    for seed in range(5):
        found = audited(pack(crowded(seed)), protocol="successive", stage=stage)
        assert (found.future_of_first, found.future_of_average, found.straddling, found.leaks) == (
            0,
            0,
            0,
            False,
        )
        assert found.verdict.startswith("No leak: all ")


def test_leave_one_out_leaks_on_baskets_by_as_much_as_counted() -> None:
    _, log = retail()
    settings: dict[str, Any] = {"protocol": "loo", "stage": "test", "max_queries": 100}
    made = split(*log[:3], len(log.vocabulary), repeats=True, **settings)
    shares = [np.mean(log.times[made.train] >= t) for t in made.queries.time]
    found = audited(log, **settings)
    assert found.leaks
    assert found.future_of_first == pytest.approx(max(shares))
    assert found.future_of_average == pytest.approx(np.mean(shares))
    assert found.future_of_average > 0.1
    assert found.verdict.startswith(f"Leaks: for the average query {100 * np.mean(shares):.1f} % of the ")
    assert found.training_events == made.train.sum()
    assert found.queries == 100


def small() -> Packed:
    """Twice (a, x, 1); asked about from second 5 on: y, known, and twice z, which training never saw."""
    return pack(frame(list("aaabbb"), list("xxyyzz"), [1, 1, 5, 2, 6, 7]))


def test_unknown_items_and_duplicates_are_counted() -> None:
    found = audited(small(), protocol="successive", stage="test", cuts=(0.3, 0.5))
    assert found.training_events == 3
    assert found.unknown_items == pytest.approx(2 / 3)
    assert found.duplicates == pytest.approx(1 / 6)
    assert found.to_dict()["leaks"] is False


def test_the_same_item_at_another_moment_is_no_duplicate() -> None:
    log = pack(
        frame(list("aaabb"), list("xxxxy"), [1, 2, 5, 5, 6])
    )  # a's last and b's first row: same item, same second
    assert audited(log, protocol="loo", stage="test").duplicates == 0


def test_a_moment_half_in_training_is_a_leak() -> None:
    log = pack(frame(list("aabbb"), list("xyxxy"), [1, 5, 2, 6, 6]))
    good = split(*log[:3], 2, protocol="successive", stage="test", cuts=(0.2, 0.5), repeats=True)
    train = good.train.copy()
    train[3] = True
    found = audit(replace(good, train=train), *log[:3])
    assert (found.straddling, found.leaks) == (1, True)
    assert found.verdict.endswith("and 1 moments are partly in training.")


def test_another_log_is_refused() -> None:
    log = small()
    made = split(*log[:3], 3, protocol="loo", stage="test", repeats=True)
    with pytest.raises(ValueError, match=r"`len\(split.train\) == len\(items\)` must hold, but got \(6, 5\)"):
        audit(made, log.offsets, log.items[:5], log.times[:5])
