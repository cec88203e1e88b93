"""Some real users of the test period: what they did, what is left of it, and the list at the moment asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import evaluators
from harness.data import Store
from harness.settings import RunSettings
from harness.stage import Stage
from trainers.encoders import Encoder
from trainers.encoders.base import ClosedForm
from trainers.histories import Histories
from trainers.model import Model

RULE = (
    "Users are chosen by the number of their events before their first test moment, whatever the model did for them: "
    "all users of the test period stand in that order (of equals, in the order of the log), are cut into as many parts "
    "of one size as users are shown, and the one in the middle of each part is taken."
)


def examples(settings: RunSettings, stage: Stage, model: Model) -> dict[str, Any] | None:
    """`rule`, `term` (whose retention it is), `forgotten` (the share below which an event counts as that), and `users`
    [{`user`, `at`, `events`, `gone`, `moments` [{`at`, `age`, `left`, `events`, `titles`}], `list` [{`rank`, `item`,
    `title`, `hit`, `last` (days since the user took it, null: never)}], `missed` [titles]}]: ages in days, `left` the
    mean share of the events of a moment.

    None where no user is to be shown.
    """
    asked = settings.report
    if not asked.users or not (settings.registry is None or settings.registry.users):
        return None
    label, encoder = fading(model)
    return {
        "rule": RULE,
        "term": label,
        "forgotten": asked.forgotten,
        "users": [
            _user(stage, model, encoder, int(query), asked.forgotten, max(settings.evaluate.k))
            for query in chosen(stage.users, stage.queries.end - stage.queries.begin, asked.users)
        ],
    }


def chosen(
    users: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer], count: int
) -> npt.NDArray[np.integer]:
    """The first query of each of `count` users, in the middle of as many parts of all users by length of history.

    users, lengths [Q]: whose query it is, the first of a user being the earliest; the events before it.

    >>> chosen(np.array([5, 5, 6, 7, 8]), np.array([9, 99, 1, 5, 7]), 2).tolist()
    [3, 0]
    """
    _, first = np.unique(users, return_index=True)
    order = first[np.argsort(lengths[first], kind="stable")]
    count = min(count, len(order))
    found: npt.NDArray[np.integer] = order[
        ((np.arange(count) + 0.5) / max(count, 1) * len(order)).astype(np.int64)
    ]
    return found


def fading(model: Model) -> tuple[str, Encoder]:
    """The term whose retention is shown: the heaviest that forgets and weights a history event by event, then the
    heaviest network that forgets, then any."""
    terms = list(zip(model.settings.terms, model.encoders, strict=True))

    def order(pair: tuple[Any, Encoder]) -> tuple[bool, bool, float]:
        term, encoder = pair
        return term.forgetting.family != "none", isinstance(encoder, ClosedForm), term.weight

    term, encoder = max((pair for pair in terms if pair[0].kind != "trend"), key=order, default=terms[0])
    return term.label, encoder


def left(encoder: Encoder, histories: Histories) -> npt.NDArray[np.float64]:
    """[E] what is left of each event along the term's curve, without weights; the mean of several curves."""
    longer = encoder.longer(histories) if isinstance(encoder, ClosedForm) else None
    curves = encoder.curves().values()
    found: npt.NDArray[np.float64] = np.mean(
        [histories.retained(curve, False, longer) for curve in curves], axis=0
    )
    return found


def _user(
    stage: Stage, model: Model, encoder: Encoder, query: int, forgotten: float, k: int
) -> dict[str, Any]:
    histories = stage.histories(slice(query, query + 1))
    share = left(encoder, histories)
    asked = stage.split.queries
    right = asked.relevant[asked.relevant_offsets[query] : asked.relevant_offsets[query + 1]]
    last = {int(column): float(days) for column, days in zip(histories.columns, histories.days, strict=True)}
    hidden = None if stage.repeats else evaluators.Csr(histories.offsets, histories.columns)
    shown = [int(column) for column in evaluators.top(model.score(histories), k, hidden)[0] if column >= 0]
    name = _Names(stage.store, stage.split.catalogue)
    return {
        "user": str(stage.store.users[stage.users[query]]),
        "at": float(asked.time[query]),
        "events": len(share),
        "gone": int((share < forgotten).sum()),
        "moments": [_moment(histories, share, at, name) for at in np.unique(histories.times)],
        "list": [
            {"rank": rank, **name(column), "hit": bool(column in right), "last": last.get(column)}
            for rank, column in enumerate(shown, 1)
        ],
        "missed": [name(int(column))["title"] for column in right if column not in shown],
    }


def _moment(histories: Histories, share: npt.NDArray[np.float64], at: float, name: _Names) -> dict[str, Any]:
    here = np.flatnonzero(histories.times == at)
    return {
        "at": float(at),
        "age": float(histories.days[here[0]]),
        "left": float(share[here].mean()),
        "events": len(here),
        "titles": [name(int(column))["title"] for column in histories.columns[here]],
    }


class _Names:
    """Ids and titles of the columns of a catalogue; an item without a title is called by its id."""

    def __init__(self, store: Store, catalogue: npt.NDArray[np.integer]) -> None:
        self.store, self.catalogue = store, catalogue

    def __call__(self, column: int) -> dict[str, str]:
        item = int(self.catalogue[column])
        id_ = str(self.store.item_ids[item])
        titles = self.store.titles
        return {"item": id_, "title": (titles[item] if titles is not None else None) or id_}
