"""What an audit finds, by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """name: what it is, as listed in `LEAKS` or `NOTICES`; count: how often; sentence: what was counted, in words."""

    name: str
    count: int
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


LEAKS = {
    "unordered_times": "a user's rows are not in order of time, so a history is not the past",
    "mixed_units": "some timestamps are in milliseconds and others in seconds",
    "moments_not_in_log": "a query's moment is none of its user's: its clock is not the log's",
    "leave_one_out": "each user is asked at one moment of their own, and others' later events are trained on",
    "per_user_cut": "users are cut at different times, and others' later events are trained on",
    "own_future": "a user's own later events are trained on",
    "others_future": "events of others at or after a query's moment are trained on",
    "straddling_moments": "a moment is partly trained on and partly asked",
    "answers_in_training": "an event that is asked about is trained on",
    "duplicates_across_cut": "an event that is asked about has a copy in training",
    "training_not_in_log": "training has events that the log lacks",
    "future_vocabulary": "the catalogue has items that training never saw",
    "future_popularity": "popularity counts events that training does not have",
    "history_at_moment": "a history holds other events of the query's own moment",
    "history_after_moment": "a history holds events after the query's moment",
    "history_of_others": "a history holds another user's events",
    "answer_in_history": "a history holds the very event that is asked about",
    "validation_in_test": "choices were made on queries of the test period",
    "answers_after_stop": "what was right lies beyond the period that is asked about",
}
"""By name, what a model or a choice saw that it should not have: no decision is taken on such a split."""

NOTICES = {
    "ties_at_cut": "events with exactly the cut's timestamp; all of them are asked, none is trained on",
    "near_duplicates": "asked events that repeat a training event of the same user and item within a minute",
    "asked_twice": "queries whose moment is asked more than once",
}
"""By name, what is no leak but worth knowing."""
