"""A packaged model: the same answers after saving, from raw lists, and in another catalogue."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.data import DataSettings, Store, prepare
from harness.serving.known import EVENTS_FILE, OLD_EVENTS_FILE
from harness.serving.package import Package, Reader
from harness.splits import SplitSettings
from harness.stage import ForeignScorer, ModelScorer, Stage
from tests.harness.conftest import packaged
from trainers.log import LAYOUT
from trainers.model import Model

DAY = 86_400.0
NOW = 1_600_000_000.0 + 60 * DAY


def scores(package: Package, items: list[str], times: list[float], weights: list[float] | None = None) -> Any:
    return package.model.score(package.histories([(items, times, weights)], [NOW]))[0]


def test_what_is_saved_is_what_is_loaded(package: Package, tmp_path: Path) -> None:
    package.save(tmp_path / "package")
    again = Package.load(tmp_path / "package")
    assert (again.items, again.titles, again.about) == (package.items, package.titles, package.about)
    assert again.model.settings == package.model.settings
    lists = [(package.items[:3], [NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY], None)]
    assert np.array_equal(
        again.model.score(again.histories(lists, [NOW])), package.model.score(package.histories(lists, [NOW]))
    )
    assert {file.suffix for file in (tmp_path / "package").iterdir()} == {".json", ".safetensors"}
    assert package.known is not None
    assert again.known is not None
    assert again.known.ids == package.known.ids
    for name in LAYOUT:
        assert np.array_equal(getattr(again.known.log, name), getattr(package.known.log, name))
    replace(package, known=None).save(tmp_path / "bare")
    assert Package.load(tmp_path / "bare").known is None


def test_a_term_may_be_called_as_any_part_of_the_package(store: Store, tmp_path: Path) -> None:
    parts = ["events", "users", "items", "about", "model"]
    terms = [{"kind": "trend", "name": name, "weight": n + 1.0} for n, name in enumerate(parts)]
    made = packaged(store, terms)
    made.save(tmp_path)
    again = Package.load(tmp_path)
    assert again.known is not None
    assert again.known.ids == store.users.tolist()
    for mine, read in zip(made.model.encoders, again.model.encoders, strict=True):
        assert np.array_equal(mine.state()["popularity"], read.state()["popularity"])


def test_a_package_of_before_is_opened(package: Package, tmp_path: Path) -> None:
    """The events of its users lay under a name that a term could have too."""
    package.save(tmp_path)
    (tmp_path / EVENTS_FILE).rename(tmp_path / OLD_EVENTS_FILE)
    known = Package.load(tmp_path).known
    assert known is not None
    assert package.known is not None
    assert np.array_equal(known.log.items, package.known.log.items)


def test_known_users_have_the_histories_of_the_log(grouped_package: Package, grouped: Store) -> None:
    """With event types, categories and the user's number, which curves may go by."""
    stage = Stage.of(grouped, SplitSettings(), "test", True)
    queries = stage.queries.take(slice(0, 40))
    users = grouped.users[stage.users[:40]].tolist()
    mine = grouped_package.histories_of(users, queries.time.tolist())
    log = Reader(grouped_package, grouped).histories(queries)
    for name in ("offsets", "columns", "days", "moments", "weights", "users", "types", "categories"):
        assert np.array_equal(getattr(mine, name), getattr(log, name)), name


def test_a_model_reads_a_store_that_grew(small_log: Path, tmp_path: Path) -> None:
    """What it recommends to those whom it knew stays the same; of those whom it does not know it says so."""
    log = pd.read_csv(small_log)
    log.to_csv(tmp_path / "old.csv", index=False)
    moment = float(log.timestamp.max()) + 1
    new = log[["user_id", "item_id", "timestamp"]].head(30).assign(timestamp=int(moment) + 9)
    new.loc[new.index[:5], "item_id"] = "brand new"
    early = pd.DataFrame(
        {"user_id": ["0 new"], "item_id": ["0 new"], "timestamp": [int(log.timestamp.min()) - 9]}
    )
    pd.concat([new, early]).to_csv(tmp_path / "new.csv", index=False)

    def prepared(*files: str) -> Store:
        names = [str(tmp_path / file) for file in files]
        return prepare(DataSettings(events=names, repeats=True, store=str(tmp_path / "store")))

    old = prepared("old.csv")
    curve = {"family": "exponential", "half_life": 5.0}
    package = packaged(old, [{"kind": "own", "forgetting": curve}, {"kind": "trend", "weight": 0.1}])
    grown = prepared("old.csv", "new.csv")
    assert (grown.segments, grown.lineage) == (2, {old.fingerprint: len(old.users)})
    users = np.arange(len(old.users))
    before, after = (
        Reader(package, store).histories(store.log.asked(users, np.full(len(users), moment)))
        for store in (old, grown)
    )
    for name in ("offsets", "columns", "days", "moments", "weights", "users", "types", "categories"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert np.array_equal(package.model.score(before), package.model.score(after))
    assert np.array_equal(package.top(before, 5)[0], package.top(after, 5)[0])
    assert after.users.tolist() == users.tolist()  # by which users have curves of their own
    (stranger,) = np.flatnonzero(grown.users == "0 new")
    unknown = Reader(package, grown).histories(grown.log.asked(np.array([stranger]), np.array([moment])))
    assert unknown.users.tolist() == [-1]
    anew = prepare(
        DataSettings(
            events=str(tmp_path / "*.csv"), repeats=True, store=str(tmp_path / "store"), append=False
        )
    )
    strangers = Reader(package, anew).histories(anew.log.asked(users, np.full(len(users), moment)))
    assert set(strangers.users.tolist()) == {-1}  # packed at once, numbers mean other users


def test_another_format_is_refused(package: Package, tmp_path: Path) -> None:
    package.save(tmp_path)
    file = tmp_path / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 999}))
    with pytest.raises(ValueError, match="must be of format 1"):
        Package.load(tmp_path)


def test_histories_by_hand(package: Package) -> None:
    """Times in any order, what is at or after the moment left out, unknown ids counted as moments alone."""
    a, b, c = package.items[:3]
    histories = package.histories(
        [
            ([c, a, b, a], [NOW + 1, NOW - DAY, NOW, NOW - 3 * DAY], [9.0, 2.0, 9.0, 3.0]),
            ([], [], None),
            ([a, "unheard of"], [NOW - 4 * DAY, NOW - DAY], None),
        ],
        [NOW, NOW, NOW],
    )
    assert len(histories) == 3
    assert histories.offsets.tolist() == [0, 2, 2, 3]
    assert histories.columns.tolist() == [0, 0, 0]
    assert histories.days.tolist() == [3.0, 1.0, 4.0]
    assert histories.moments.tolist() == [1.0, 0.0, 1.0]
    assert histories.weights.tolist() == [3.0, 2.0, 1.0]


def test_event_types_and_categories_are_saved(
    grouped_package: Package, grouped: Store, tmp_path: Path
) -> None:
    grouped_package.save(tmp_path)
    again = Package.load(tmp_path)
    assert again.event_types == ["buy", "view"]
    assert again.category_names == ["cake", "milk", "tea"]
    of_item = dict(zip(again.items, again.category_of[:-1].tolist(), strict=True))
    assert of_item == dict(zip(grouped.item_ids, grouped.category.tolist(), strict=True))
    assert again.category_of[-1] == -1


def test_a_package_without_all_of_its_groups_is_refused(grouped_package: Package, tmp_path: Path) -> None:
    grouped_package.save(tmp_path)
    file = tmp_path / "items.json"
    whole = json.loads(file.read_text())
    for broken in ({"category": whole["category"][:-1]}, {"event_types": None}, {"category_names": None}):
        names = {name: value for name, value in (whole | broken).items() if value is not None}
        file.write_text(json.dumps(names))
        with pytest.raises(ValueError, match=r"items\.json must be whole"):
            Package.load(tmp_path)
    # One that was written before there were groups has one event type, and no categories.
    file.write_text(json.dumps({name: whole[name] for name in ("ids", "titles")}))
    old = Package.load(tmp_path)
    assert (old.event_types, old.category_names, set(old.category_of.tolist())) == (["event"], [], {-1})


def test_types_of_raw_lists_by_hand(grouped_package: Package) -> None:
    a, b = grouped_package.items[1:3]
    events = [([a, "unheard of", b], [NOW - DAY, NOW - 2 * DAY, NOW - 3 * DAY], None)] * 2 + [([], [], None)]
    histories = grouped_package.histories(events, [NOW] * 3, [["view", "buy", "buy"], None, []])
    assert histories.groups("event_type").tolist() == [0, 1, 0, 0]  # oldest first
    assert histories.groups("category").tolist() == [0, 2, 0, 2]
    assert histories.groups("user").tolist() == [-1] * 4
    assert histories.users.tolist() == [-1] * 3
    assert ((NOW - histories.times) / DAY).tolist() == [3, 1, 3, 1]
    assert histories.at.tolist() == [NOW] * 3
    assert grouped_package.histories(events, [NOW] * 3).types.tolist() == [0] * 4


@pytest.mark.parametrize(
    ("types", "message"),
    [
        (["buy", "vew"], r"row 0 has 'vew'; the nearest is `view` \(present: `buy`, `view`\)\.$"),
        (["buy", None], "row 0 has None"),
        (["buy"], "row 0 has 1 for 2 events"),
        ([], "row 0 has 0 for 2 events"),
    ],
)
def test_wrong_types_are_refused(grouped_package: Package, types: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        grouped_package.histories([(["a", "b"], [1.0, 2.0], None)], [9.0], [types])
    assert "\n" not in str(refused.value)


def test_another_log_is_read_in_the_numbers_of_the_package(
    grouped_package: Package, grouped: Store, store: Store
) -> None:
    """Types and categories go by name; users are the package's only in the very store that it was made from."""
    queries = Stage.of(grouped, SplitSettings(), "test", True).queries.take(slice(0, 30))
    own = Reader(grouped_package, grouped).histories(queries)
    assert np.array_equal(own.types, grouped.types[own.rows])
    assert np.array_equal(own.categories, grouped.category[grouped.items[own.rows]])
    assert own.users.min() >= 0
    renamed = replace(grouped_package, event_types=["none", "view", "more"])
    other = Reader(renamed, grouped).histories(queries)
    assert np.array_equal(other.types, np.where(own.types == 1, 1, -1))
    untyped = Reader(grouped_package, store).histories(queries)
    assert set(untyped.types.tolist()) == {-1}
    assert set(untyped.users.tolist()) == {-1}
    assert set(untyped.categories.tolist()) == {-1, 0, 1, 2}  # they are the items', whatever the log says


def test_the_order_of_the_lists_does_not_matter(package: Package) -> None:
    items, times = package.items[:4], [NOW - days * DAY for days in (9, 7, 5, 3)]
    order = [2, 0, 3, 1]
    assert np.allclose(
        scores(package, items, times),
        scores(package, [items[i] for i in order], [times[i] for i in order]),
        rtol=1e-12,
    )


def test_the_future_and_the_present_do_not_count(package: Package) -> None:
    past = ([package.items[0]], [NOW - DAY])
    more = ([package.items[0], package.items[5], package.items[6]], [NOW - DAY, NOW, NOW + 5])
    assert np.array_equal(scores(package, *past), scores(package, *more))


def test_an_empty_history_gets_the_trend(package: Package) -> None:
    columns, found = package.top(package.histories([([], [], None)], [NOW]), 3)
    trend = np.asarray(package.model.encoders[2].state()["popularity"], np.float64)
    assert columns[0].tolist() == np.argsort(-trend, kind="stable")[:3].tolist()
    assert found[0] == pytest.approx(0.1 * trend[columns[0]])


def test_no_query_at_all(package: Package) -> None:
    assert len(package.histories([], [])) == 0


@pytest.mark.parametrize(
    ("items", "times", "weights", "at", "message"),
    [
        (["a"], [1.0, 2.0], None, 9.0, r"row 0 has \(1, 2, 2\)"),
        (["a", "b"], [1.0, 2.0], [1.0], 9.0, r"row 0 has \(2, 2, 1\)"),
        (["a"], [float("nan")], None, 9.0, "row 0 has one that is no number"),
        (["a"], [1.0], None, float("inf"), "row 0 has one that is no number"),
        (["a"], [1.0], [float("nan")], 9.0, "weights"),
        (["a"], [1.0], [-1.0], 9.0, "weights"),
    ],
)
def test_wrong_lists_are_refused(
    package: Package,
    items: list[str],
    times: list[float],
    weights: list[float] | None,
    at: float,
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        package.histories([(items, times, weights)], [at])


def test_top_leaves_out_what_was_seen_where_nothing_is_taken_twice(package: Package) -> None:
    """The user's own item comes first with repeats, and not at all without; ties go by column."""
    histories = package.histories([([package.items[7]], [NOW - DAY], None)], [NOW])
    with_repeats, _ = package.top(histories, 5)
    assert with_repeats[0, 0] == 7
    films = replace(package, about={**package.about, "repeats": False})
    assert 7 not in films.top(histories, len(package.items))[0]
    assert films.top(histories, 5, exclude_seen=False)[0].tolist() == with_repeats.tolist()


def test_top_of_more_than_there_is(package: Package) -> None:
    histories = package.histories([([package.items[7]], [NOW - DAY], None)], [NOW])
    columns, found = package.top(histories, len(package.items) + 3, exclude_seen=True)
    assert columns[0, : len(package.items) - 1].min() >= 0
    assert columns[0, len(package.items) - 1 :].tolist() == [-1] * 4
    assert np.isneginf(found[0, len(package.items) - 1 :]).all()
    assert (np.diff(found[0, : len(package.items) - 1]) <= 0).all()


def test_raw_lists_score_as_the_log_does(package: Package, store: Store) -> None:
    """The histories of test queries, written out as ids and times, give the scores that the evaluation saw."""
    stage = Stage.of(store, SplitSettings(), "test", True)
    queries = stage.queries
    lists, moments = [], []
    for query in range(20):
        rows = slice(int(queries.begin[query]), int(queries.end[query]))
        lists.append((store.item_ids[store.items[rows]].tolist(), store.times[rows].tolist(), None))
        moments.append(float(queries.time[query]))
    mine = package.model.score(package.histories(lists, moments))
    assert np.allclose(mine, ModelScorer(stage, package.model).score(slice(0, 20)), rtol=1e-6)


def test_a_foreign_model_of_the_same_catalogue_scores_as_its_own(package: Package, store: Store) -> None:
    stage = Stage.of(store, SplitSettings(), "test", True)
    foreign = ForeignScorer(stage, Reader(package, store))
    block = slice(5, 60)
    assert np.array_equal(foreign.score(block), ModelScorer(stage, package.model).score(block))


def test_a_foreign_model_never_recommends_what_it_does_not_know(package: Package, store: Store) -> None:
    """A model that knows every second item, in another order, among a stranger."""
    known = list(reversed(package.items[::2]))
    smaller = Package(package.model, ["stranger", *known], [""] * (len(known) + 1), package.about)
    own = packaged(store, [{"kind": "own", "forgetting": {"family": "exponential", "half_life": 5.0}}])
    model = Model(own.model.settings, own.model.encoders, len(smaller.items))
    encoder = type(model.encoders[0])(model.settings.terms[0], len(smaller.items))
    model = Model(own.model.settings, [encoder], len(smaller.items))
    stage = Stage.of(store, SplitSettings(), "test", True)
    foreign = ForeignScorer(stage, Reader(replace(smaller, model=model), store))
    found = foreign.score(slice(0, 30))
    ids = store.item_ids[stage.split.catalogue]
    missing = np.array([item not in known for item in ids])
    assert 0 < missing.sum() < len(ids)
    assert np.isneginf(found[:, missing]).all()
    whole = ModelScorer(stage, own.model).score(slice(0, 30))
    assert np.array_equal(found[:, ~missing], whole[:, ~missing])
    assert stage.evaluate(foreign, ("coverage@10",), ()).means()["coverage@10"] <= (~missing).mean()


def test_titles_come_with_the_items(package: Package) -> None:
    assert len(package.titles) == len(package.items) == package.model.items
    assert set(package.titles) == {""}


def test_columns_of_ids(package: Package) -> None:
    assert package.column([package.items[3], "unheard of", package.items[0]]).tolist() == [3, -1, 0]
