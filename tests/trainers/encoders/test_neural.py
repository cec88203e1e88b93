"""What all terms that are trained by gradient share."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers import helpers
from tests.trainers.neural import NEURAL, OWN, neural
from trainers.encoders.neural import PRIOR_GAPS, _blocks, log_intervals, popularity
from trainers.log import DAY, TrainingData
from trainers.model import ModelSettings

LOG = helpers.packed(
    [
        [(0, 0), (1, 1), (4, 0), (4, 1), (8, 0), (30, 2)],
        [(2, 1), (2, 1), (10, 1), (11, 2)],
        [(3, 0)],
    ]
)


def test_popularity_counts_the_events_of_training() -> None:
    assert popularity(helpers.training(LOG)).tolist() == [4, 5, 2]
    assert popularity(helpers.training(LOG, 9)).tolist() == [4, 4]


def test_intervals_by_hand() -> None:
    """Item 0 comes back after 4 and 4 days, item 1 after 3 and 8 (two events of one moment are no gap), item 2 never;
    each is drawn to what all have in common."""
    gaps = [math.log(gap) for gap in (4, 4, 3, 8)]
    common = sum(gaps) / 4
    expected = [
        (gaps[0] + gaps[1] + PRIOR_GAPS * common) / (2 + PRIOR_GAPS),
        (gaps[2] + gaps[3] + PRIOR_GAPS * common) / (2 + PRIOR_GAPS),
        common,
    ]
    assert log_intervals(helpers.training(LOG)).tolist() == pytest.approx(expected)
    before = log_intervals(helpers.training(LOG, 9)).tolist()
    common = (2 * math.log(4) + math.log(3)) / 3
    assert before == pytest.approx([(2 * math.log(4) + 5 * common) / 7, (math.log(3) + 5 * common) / 6])


def test_intervals_where_nothing_came_back() -> None:
    data = helpers.training(helpers.packed([[(0, 0), (1, 1)], [(0, 1), (0, 1)]]))
    assert log_intervals(data).tolist() == [0, 0]


@pytest.mark.parametrize("kind", NEURAL)
def test_what_is_counted_before_training(kind: str) -> None:
    """Biases are the logarithms of popularity, one added, around their mean; a term without `own` has no intervals."""
    data = helpers.training(LOG)
    encoder, alone = neural(kind, 3, own=OWN), neural(kind, 3)
    encoder.begin(data)
    alone.begin(data)
    logs = np.log([5.0, 6.0, 3.0])
    assert encoder.state()["bias"].tolist() == pytest.approx((logs - logs.mean()).tolist())
    assert encoder.state()["own.log_interval"].tolist() == pytest.approx(log_intervals(data).tolist())
    assert alone.state()["bias"].tolist() == encoder.state()["bias"].tolist()
    assert not [name for name in alone.state() if name.startswith("own")]


@pytest.mark.parametrize("kind", NEURAL)
def test_scores_are_the_same_in_blocks(
    kind: str, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.validation is not None
    encoder = neural(kind, len(data.catalogue), own=OWN)
    histories = helpers.histories_of(data, data.validation)
    whole = encoder.score(histories)
    monkeypatch.setattr("trainers.encoders.neural.BLOCK_EVENTS", 7)
    np.testing.assert_allclose(encoder.score(histories), whole, rtol=1e-4, atol=1e-5)


@given(st.lists(st.integers(0, 40_000), max_size=60))
@settings(max_examples=100, deadline=None)
def test_blocks_are_all_of_it_and_no_larger_than_they_may_be(lengths: list[int]) -> None:
    ascending = np.sort(np.array(lengths, np.int64))
    blocks = _blocks(ascending)
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(len(lengths)))
    for block in blocks:
        count = block.stop - block.start
        assert count == 1 or count * max(int(ascending[block].max()), 1) <= 32_768


@pytest.mark.parametrize("kind", NEURAL)
def test_without_forgetting_nothing_is_forgotten(kind: str) -> None:
    """Neither in the profile, nor in the loss, nor by what is learned of own items, which still count."""
    values: dict[str, Any] = {
        "kind": kind,
        "dim": 6,
        "own": OWN,
        "forgetting": {"family": "exponential", "half_life": 3.0},
        "training": {
            "rate": 0.1,
            "forgetting": {"family": "exponential", "half_life": 9.0},
            "changes": [
                {"after": 2, "forgetting": {"family": "exponential", "half_life": 4.0}},
                {"after": 3, "rate": 0.2, "forgetting": {"family": "exponential", "half_life": 2.0}},
            ],
        },
    }
    [term] = ModelSettings.model_validate({"terms": [values]}).terms
    nothing = {"age": False, "rank": False, "calendar": False, "renewal": False}
    [expected] = ModelSettings.model_validate(
        {
            "terms": [
                {
                    **values,
                    "own": nothing,
                    "forgetting": {"family": "none"},
                    "training": {"rate": 0.1, "changes": [{"after": 3, "rate": 0.2}]},
                    **({} if kind in ("mlp", "vae") else {"ages": False}),
                }
            ]
        }
    ).terms
    assert term.without_forgetting() == expected
    [alone] = ModelSettings.model_validate({"terms": [{"kind": kind}]}).terms
    assert getattr(alone.without_forgetting(), "own", "missing") is None


@pytest.mark.parametrize("kind", NEURAL)
def test_an_age_is_felt_unless_nothing_is_forgotten(kind: str, data: TrainingData) -> None:
    """With all curves gone, the same history is scored the same a week and three moments later; those that know ages
    beside their curves still feel it, while they are let."""
    assert data.validation is not None
    histories = helpers.histories_of(data, data.validation)
    older = replace(
        histories, days=histories.days + 7, moments=histories.moments + 3, at=histories.at + 7 * DAY
    )
    plain = neural(kind, len(data.catalogue), own=OWN)
    nothing = plain.settings.without_forgetting().model_dump(include={"forgetting", "own", "ages"})
    none = neural(kind, len(data.catalogue), **nothing)
    assert not np.allclose(plain.score(older), plain.score(histories), atol=1e-3)
    np.testing.assert_allclose(none.score(older), none.score(histories), atol=1e-4)
    if kind not in ("mlp", "vae"):
        feels = neural(kind, len(data.catalogue), **{**nothing, "ages": True})
        assert not np.allclose(feels.score(older), feels.score(histories), atol=1e-3)


@pytest.mark.parametrize("kind", NEURAL)
def test_only_the_latest_events_are_read(kind: str, data: TrainingData) -> None:
    """By every layer: a state that began with what is too old would still hold it."""
    assert data.validation is not None
    histories = helpers.histories_of(data, data.validation)
    assert np.diff(histories.offsets).max() > 5
    cut = neural(kind, len(data.catalogue), own=OWN, max_history=3)
    whole = neural(kind, len(data.catalogue), own=OWN, max_history=50)
    np.testing.assert_allclose(cut.score(histories), whole.score(histories.latest(3)), rtol=1e-5, atol=1e-6)
    assert not np.allclose(cut.score(histories), whole.score(histories), atol=1e-3)


PLACES = {
    "transformer": ["block 1, head 1", "block 1, head 2", "block 2, head 1", "block 2, head 2"],
    "recurrent": [f"state {number}" for number in range(1, 13)],
}


@pytest.mark.parametrize("kind", NEURAL)
def test_learned_curves_are_told_apart_by_place(kind: str) -> None:
    """Those of a state that was saved and loaded are the same."""
    encoder = neural(kind, 6)
    assert list(encoder.curves()) == PLACES.get(kind, [""])
    again = neural(kind, 6, stirred=False)
    assert again.curves() != encoder.curves()
    again.load(encoder.state())
    assert again.curves() == encoder.curves()
