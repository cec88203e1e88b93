"""A packaged model: the same answers after saving, from raw lists, and in another catalogue."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import Store
from harness.package import Package
from harness.settings import SplitSettings
from harness.stage import ForeignScorer, ModelScorer, Stage
from tests.harness.conftest import packaged
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
    foreign = ForeignScorer(stage, package.model, package.column(store.item_ids))
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
    foreign = ForeignScorer(stage, model, smaller.column(store.item_ids))
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
