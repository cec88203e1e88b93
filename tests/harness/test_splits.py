"""The settings of a split, and that each of them changes what is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.data import Store
from harness.splits import SplitSettings
from harness.stage import Stage


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"periods": 3}, "`split.periods` and `split.refit` need `protocol: rolling`, but got 'successive'"),
        ({"protocol": "loo", "refit": False}, "need `protocol: rolling`, but got 'loo'"),
        ({"protocol": "loo", "horizon": {"days": 7}}, "`split.horizon` needs a protocol with a cut in time"),
        ({"horizon": {}}, "`horizon` must have one of `moments >= 1` and `days > 0`"),
        ({"horizon": {"days": 7, "moments": 1}}, "`horizon` must have one of"),
        ({"cuts": [0.9, 0.8]}, "`0 < cuts"),
        ({"protocol": "rolling", "periods": 0}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SplitSettings.model_validate(given)


def test_settings_survive_being_written_out() -> None:
    for given in ({}, {"protocol": "loo"}, {"protocol": "rolling", "periods": 2, "horizon": {"days": 7}}):
        settings = SplitSettings.model_validate(given)
        assert SplitSettings.model_validate(settings.model_dump(exclude_none=True)) == settings


def test_periods_and_horizon_change_what_is_asked(store: Store) -> None:
    def asked(**given: Any) -> list[int]:
        settings = SplitSettings.model_validate({"protocol": "rolling", **given})
        return [len(stage.queries) for stage in Stage.rolls(store, settings, "test", True)]

    assert [len(asked(periods=number)) for number in (1, 2, 5)] == [1, 2, 5]
    (single,) = asked(periods=1)
    assert single == len(Stage.of(store, SplitSettings(), "test", True).queries)
    (three,) = asked(periods=1, horizon={"moments": 3})
    assert single / 4 < three < single
    (week,) = asked(periods=1, horizon={"days": 2})
    assert 0 < week < single


def test_a_horizon_asks_for_more_items_a_query(store: Store) -> None:
    settings = SplitSettings.model_validate({"horizon": {"moments": 3}})
    for name in ("val", "test"):
        stage, plain = (Stage.of(store, each, name, True) for each in (settings, SplitSettings()))
        widths = [np.diff(each.split.queries.relevant_offsets).mean() for each in (stage, plain)]
        assert widths[0] > widths[1]
        assert stage.audit().leaks == ()
