"""A small search over two terms, for the tests of its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.trainers import fakes
from trainers.model import ModelSettings
from trainers.search.course import Task
from trainers.search.curve_space import Params
from trainers.search.objective import Subject
from trainers.search.proposals import Proposals
from trainers.search.settings import SearchSettings

MODEL = ModelSettings.model_validate({"terms": [{"kind": "own"}, {"kind": "linear", "l2": 10.0}]})
SPACE: dict[str, Any] = {
    "own": {"forgetting": {"family": ["exponential", "power", "geometric"], "clock": ["time"]}},
    "linear": {"l2": {"low": 1.0, "high": 100.0, "log": True}},
}


def settings(trials: int = 12, **values: Any) -> SearchSettings:
    return SearchSettings.model_validate({"trials": trials, "space": SPACE, "ahead": 4, **values})


def subject() -> Subject:
    return Subject(MODEL, settings().space)


def propose_all(
    proposals: Proposals,
    order: int = 1,
    limit: int | None = None,
    judge: Callable[[ModelSettings], float] = fakes.known,
) -> list[Params]:
    """Run a search without Ray: as many trials as may be are proposed, then told in the order asked for."""
    proposed: list[Task] = []
    waiting: list[Task] = []
    while True:
        entry = proposals.propose()
        if entry is None and not waiting:
            break
        if entry is None or (limit and len(waiting) >= limit):
            for task in waiting[::order]:
                proposals.values[task.number] = judge(proposals.space.apply(MODEL, task.params))
            waiting = []
        if entry is not None:
            proposed.append(entry)
            waiting.append(entry)
    assert [task.number for task in proposed] == list(range(len(proposed)))
    return [task.params for task in proposed]


def proposals(**values: Any) -> Proposals:
    chosen = settings(**values)
    return Proposals(chosen, chosen.space)
