"""What every metric promises, found by itself: a new class in `evaluators.metrics` is tested without a word here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import evaluators.metrics
from evaluators.arrays import offsets_of, owners, ranges
from evaluators.intervals import Intervals
from evaluators.metrics import METRICS, Answers, Facts, Metric, QueryMetric, check_needs, resolve
from tests.evaluators.metrics.made import DEPTH, ITEMS, QUERIES, answers, makers, ranked


def kinds() -> list[type[Metric]]:
    """Every metric that a module of the package defines and that can be made."""
    found: set[type[Metric]] = set()
    for module in pkgutil.iter_modules(evaluators.metrics.__path__):
        inside = importlib.import_module(f"evaluators.metrics.{module.name}")
        found |= {
            kind
            for kind in vars(inside).values()
            if isinstance(kind, type)
            and issubclass(kind, Metric)
            and not inspect.isabstract(kind)
            and hasattr(kind, "title")
        }
    return sorted(found, key=lambda kind: kind.title)


KS = (1, 3, 10, ITEMS + 5)
EACH = pytest.mark.parametrize(
    "metric", [metric for kind in kinds() for metric in kind.at(KS)], ids=lambda metric: metric.name
)
DECIDING = pytest.mark.parametrize(
    "metric",
    [metric for kind in kinds() if kind.decides for metric in kind.at(KS)],
    ids=lambda metric: metric.name,
)


def inside(figure: float, metric: Metric) -> bool:
    low, high = metric.bounds
    return bool(low - 1e-12 <= figure <= high + 1e-12)


def test_every_metric_has_a_name_that_a_configuration_may_say() -> None:
    assert {kind.title: kind for kind in kinds()} == METRICS
    assert len(kinds()) == len(METRICS) >= 27


@EACH
def test_a_name_is_its_metric(metric: Metric) -> None:
    [again] = resolve([metric.name])
    assert (type(again), again.name, again.depth) == (type(metric), metric.name, metric.depth)
    assert metric.needs <= set(Facts.parts)


@EACH
def test_figures_keep_their_bounds_and_their_intervals(metric: Metric) -> None:
    varied = False
    for seed in range(5):
        given = answers(seed)
        values, figure = metric.values(given), metric.mean(given)
        estimate = metric.estimate(given, Intervals(n=100))
        if np.isnan(figure):
            assert metric.name.endswith("@1")  # no pair, no hit: nothing to say
            continue
        assert estimate.mean == figure
        assert inside(figure, metric)
        assert estimate.low <= figure <= estimate.high
        if values is not None:
            known = values[~np.isnan(values)]
            assert values.shape == (QUERIES,)
            assert all(inside(value, metric) for value in known.tolist())
            assert figure == pytest.approx(known.mean())
            assert len(known) == QUERIES or not metric.decides
        wide = metric.estimate(given, Intervals(0.99, n=100))
        assert wide.low <= estimate.low
        assert wide.high >= estimate.high
        varied |= estimate.low < estimate.high
    # a list as long as the catalogue shows all there is, and everybody is shown something
    assert varied or getattr(metric, "k", 3) != 3 or metric.title == "user_coverage"


@EACH
def test_the_same_answers_have_the_same_figures_in_any_order(metric: Metric) -> None:
    one, other = answers(3), answers(3)
    assert metric.estimate(one, Intervals(n=50)) == metric.estimate(other, Intervals(n=50))
    turned = np.arange(QUERIES)[::-1].copy()
    begin, end = one.offsets[turned], one.offsets[turned + 1]
    place = ranges(begin, end)
    back = Answers(
        one.ranks[place], offsets_of(end - begin), one.shown[turned], one.users[turned], ITEMS,
        one.columns[place], place, turned, one.candidates[turned], one.facts,
    )  # fmt: skip
    values, reversed_ = metric.values(one), metric.values(back)
    assert metric.mean(back) == pytest.approx(metric.mean(one), nan_ok=True)
    if values is not None and reversed_ is not None:
        assert np.array_equal(values[turned], reversed_, equal_nan=True)


@EACH
@pytest.mark.parametrize("depth", [0, DEPTH])
def test_lists_that_show_nothing_are_no_error(metric: Metric, depth: int) -> None:
    given = answers(1)
    empty = replace(given, shown=np.full((QUERIES, depth), -1, np.int32))
    figure, estimate = metric.mean(empty), metric.estimate(empty, Intervals(n=20))
    assert np.isnan(figure) or inside(figure, metric)
    if not metric.depth:
        assert figure == metric.mean(given)
    elif metric.title in {"coverage", "user_coverage"}:
        assert figure == 0
    else:
        assert np.isnan(figure)
        assert estimate.to_dict() == {"mean": None, "low": None, "high": None}


@DECIDING
def test_a_better_place_is_never_worse(metric: Metric) -> None:
    """Swap one relevant item with the one above it, unless that is relevant too."""
    given = answers(7)
    before = metric.values(given)
    assert before is not None
    assert metric.better == "higher"
    owner = owners(given.offsets)
    for at in range(len(given.ranks)):
        up = given.ranks.copy()
        up[at] -= 1
        if up[at] < 0 or up[at] in given.ranks[owner == owner[at]]:
            continue
        after = metric.values(ranked(given, up))
        assert after is not None
        assert (after >= before - 1e-15).all()
        assert np.delete(after, owner[at]).tolist() == np.delete(before, owner[at]).tolist()


@DECIDING
def test_the_perfect_list_is_the_best_and_the_worst_is_the_worst(metric: Metric) -> None:
    given = answers(8)
    by_weight = np.lexsort((-given.facts.weights, owners(given.offsets)))
    given = replace(given, place=by_weight)  # of the relevant, the dearest first
    perfect = metric.values(ranked(given, given.nth()))
    worst_ranks = ITEMS - np.repeat(given.relevant(), given.relevant()) + given.nth()
    worst = metric.values(ranked(given, worst_ranks))
    assert perfect is not None
    assert worst is not None
    for seed in range(5):
        random = np.random.default_rng(seed)
        drawn = [np.sort(random.choice(ITEMS, n, replace=False)) for n in given.relevant()]
        between = metric.values(ranked(given, np.concatenate(drawn)))
        assert between is not None
        assert (between <= perfect + 1e-12).all()
        assert (between >= worst - 1e-12).all()
    k = getattr(metric, "k", ITEMS)
    enough = (given.relevant() <= k) & (given.sums(given.facts.weights[given.place]) > 0)
    best = given.relevant() / k if metric.title == "precision" else np.ones(QUERIES)
    assert perfect[enough] == pytest.approx(best[enough])
    if k + 6 <= ITEMS and metric.title != "mrr":
        assert (worst == 0).all()


@EACH
def test_a_metric_reads_what_it_says_and_nothing_else(metric: Metric) -> None:
    given = answers(2)
    every = makers(np.random.default_rng(2), len(given.ranks))
    asked: list[str] = []

    def counted(name: str) -> Callable[[], Any]:
        def make() -> Any:
            asked.append(name)
            return every[name]()

        return make

    alone = replace(given, facts=Facts(**{name: counted(name) for name in metric.needs}))
    metric.mean(alone)
    metric.estimate(alone, Intervals(n=10))
    # each once, however often the metric is asked; that items are taken again is a condition, and has no content
    assert sorted(asked) == sorted(metric.needs - {"repeats"})
    for name in metric.needs:
        less = Facts(**{part: every[part] for part in metric.needs - {name}})
        with pytest.raises(ValueError, match=f"`{metric.name}` needs .*; leave it out, or give `{name}`"):
            check_needs([metric], less)


@EACH
def test_an_interval_says_what_it_is(metric: Metric) -> None:
    given = answers(4)
    how = Intervals(n=50, method="robust")
    if isinstance(metric, QueryMetric):
        assert metric.kind(how) == "robust"
        assert metric.estimate(given, how) == how.of(metric.values(given), given.users)
    else:
        assert metric.kind(how) == metric.kind(Intervals()) != "robust"
        assert metric.estimate(given, how) == metric.estimate(given, Intervals(n=999, seed=5))
