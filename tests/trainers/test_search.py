"""The search: what it finds, that it is the same every time, and that it goes on where it was."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.trainers import fakes
from tests.trainers.fakes import Analytic
from trainers.model import ModelSettings
from trainers.proposals import Proposals
from trainers.search import Ledger, Outcome, SearchResult, search, wait_for_crew
from trainers.search_settings import SearchSettings
from trainers.space import Params, Space

MODEL = ModelSettings.model_validate({"terms": [{"kind": "own"}, {"kind": "linear", "l2": 10.0}]})
SPACE: dict[str, Any] = {
    "own": {"forgetting": {"family": ["exponential", "power", "geometric"], "clock": ["time"]}},
    "linear": {"l2": {"low": 1.0, "high": 100.0, "log": True}},
}


def settings(trials: int = 12, **values: Any) -> SearchSettings:
    return SearchSettings.model_validate({"trials": trials, "space": SPACE, "ahead": 4, **values})


def propose_all(
    proposals: Proposals,
    order: int = 1,
    limit: int | None = None,
    judge: Callable[[ModelSettings], float] = fakes.known,
) -> list[Params]:
    """Run a search without Ray: as many trials as may be are proposed, then told in the order asked for."""
    proposed: list[tuple[int, Params]] = []
    waiting: list[tuple[int, Params]] = []
    while True:
        entry = proposals.propose()
        if entry is None and not waiting:
            break
        if entry is None or (limit and len(waiting) >= limit):
            for number, params in waiting[::order]:
                proposals.values[number] = judge(proposals.space.apply(MODEL, params))
            waiting = []
        if entry is not None:
            proposed.append(entry)
            waiting.append(entry)
    assert [number for number, _ in proposed] == list(range(len(proposed)))
    return [params for _, params in proposed]


def proposals(**values: Any) -> Proposals:
    chosen = settings(**values)
    return Proposals(chosen, chosen.space)


def test_proposals_do_not_depend_on_which_trial_ends_first() -> None:
    assert propose_all(proposals(trials=30)) == propose_all(proposals(trials=30), order=-1)


def test_proposals_do_not_depend_on_how_many_run_at_once() -> None:
    expected = propose_all(proposals(trials=30))
    assert propose_all(proposals(trials=30), limit=1) == expected
    assert propose_all(proposals(trials=30), limit=3) == expected


def test_proposals_depend_on_the_seed() -> None:
    assert propose_all(proposals(trials=20, seed=1)) != propose_all(proposals(trials=20, seed=2))


def test_proposals_depend_on_how_far_ahead_they_are_made() -> None:
    assert propose_all(proposals(trials=30, ahead=2)) != propose_all(proposals(trials=30, ahead=10))


def test_a_proposal_waits_for_the_trials_it_depends_on_and_no_others() -> None:
    one = proposals()
    numbers = [one.propose() for _ in range(4)]
    assert [entry and entry[0] for entry in numbers] == [0, 1, 2, 3]
    assert one.propose() is None
    for number in (3, 1):  # trial 4 is proposed from trial 0
        one.values[number] = 0.5
        assert one.propose() is None
    one.values[0] = None  # failed: the search goes on without it
    for number in (4, 5):  # trial 5 is proposed from trials 0 and 1, which are over
        entry = one.propose()
        assert entry is not None
        assert entry[0] == number
    assert one.propose() is None  # trial 2 is not over
    assert not one.over


def test_a_proposal_that_is_put_back_is_made_again() -> None:
    one = proposals()
    first = one.propose()
    one.put_back()
    assert one.propose() == first
    second = one.propose()
    assert second is not None
    assert second[0] == 1


def test_the_starting_points_come_first() -> None:
    chosen = settings(trials=6)
    assert propose_all(Proposals(chosen, chosen.space))[:4] == chosen.space.starts()
    few = settings(trials=2)
    assert propose_all(Proposals(few, few.space)) == chosen.space.starts()[:2]


def test_later_proposals_learn_from_the_earlier() -> None:
    late = propose_all(proposals(trials=100))[-34:]
    families = Counter(params["own.family"] for params in late)
    assert families["exponential"] > 17  # one of four, if nothing were learned
    half_lives = [params["own.half_life_days"] for params in late if params["own.family"] == "exponential"]
    assert 3.5 < np.median(half_lives) < 14


def test_importance_puts_what_decides_first() -> None:
    one = proposals(trials=60)
    propose_all(one)
    shares = one.importance()
    assert next(iter(shares)) == "own.half_life_days"
    assert set(shares) >= {"own.family", "own.half_life_days", "linear.l2"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert shares["own.half_life_days"] > 0.5

    other = proposals(trials=60)
    propose_all(other, judge=lambda model: -abs(float(getattr(model.terms[1], "l2", 0)) - 30))
    assert next(iter(other.importance())) == "linear.l2"


def test_few_trials_say_nothing_of_importance() -> None:
    one = proposals(trials=19)
    propose_all(one)
    assert one.importance() == {}


def test_trials_that_failed_do_not_stop_the_importance() -> None:
    one = proposals(trials=28)
    while (entry := one.propose()) is not None:
        number, params = entry
        value = fakes.known(one.space.apply(MODEL, params))
        one.values[number] = None if number in (1, 27) else value
    shares = one.importance()
    assert shares
    assert "own.family" in shares


def test_the_crew_waits_until_all_are_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = tmp_path / "crew"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (crew / "another").touch()

    monkeypatch.setattr("trainers.search.time.sleep", sleep)
    wait_for_crew(crew, 2)
    assert len(slept) == 3
    wait_for_crew(crew, 2)  # one that comes later finds them up
    assert len(slept) == 3


def test_the_crew_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.search.CREW_PATIENCE", 0.1)
    wait_for_crew(tmp_path / "crew", 5)
    assert len(list((tmp_path / "crew").iterdir())) == 1


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger", "here")


def test_the_ledger_finds_what_was_entered(ledger: Ledger) -> None:
    values = np.array([0.1, 0.25, 1 / 3])
    assert ledger.find(MODEL) is None
    ledger.enter(MODEL, values, 1.5)
    entry = ledger.find(MODEL)
    assert entry is not None
    assert entry[0] == values.mean()
    assert np.array_equal(np.load(entry[1]), values)
    assert sorted(file.suffix for file in ledger.folder.iterdir()) == [".json", ".npy"]
    assert ledger.find(MODEL.without_forgetting()) == entry  # the same content


def test_the_ledger_keeps_contents_and_objectives_apart(ledger: Ledger) -> None:
    ledger.enter(MODEL, np.ones(3), 1.0)
    other = ModelSettings.model_validate({"terms": [{"kind": "own"}, {"kind": "linear", "l2": 10.5}]})
    assert ledger.find(other) is None
    assert Ledger(ledger.folder, "elsewhere").find(MODEL) is None


@pytest.mark.parametrize("text", ["", '{"value": 0.', "{}", "[]", '{"value": null}'])
def test_an_entry_that_cannot_be_read_is_none(ledger: Ledger, text: str) -> None:
    ledger.enter(MODEL, np.ones(3), 1.0)
    ledger.file(MODEL).write_text(text)
    assert ledger.find(MODEL) is None
    ledger.enter(MODEL, np.ones(3), 1.0)
    assert ledger.find(MODEL) is not None


def test_an_entry_without_its_values_is_none(ledger: Ledger) -> None:
    ledger.enter(MODEL, np.ones(3), 1.0)
    values = ledger.file(MODEL).with_suffix(".npy")
    values.write_bytes(values.read_bytes()[:40])
    assert ledger.find(MODEL) is None
    values.unlink()
    assert ledger.find(MODEL) is None


def test_the_ranking_is_best_first_and_of_equals_the_earlier(tmp_path: Path) -> None:
    outcomes = [
        Outcome(0, {}, 0.2),
        Outcome(1, {}, None, "it broke"),
        Outcome(2, {}, -0.5),
        Outcome(3, {}, 0.9),
        Outcome(4, {}, 0.2),
        Outcome(5, {}, 0.0),
    ]
    result = SearchResult(Space({}), MODEL, outcomes)
    assert [trial.number for trial in result.ranking] == [3, 0, 4, 5, 2]
    assert [trial.number for trial in result.failed] == [1]
    assert outcomes[3].name == "trial-003"
    with pytest.raises(ValueError, match="`trial-001` failed and has no values: it broke"):
        outcomes[1].per_query()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trials": 0}, "greater than or equal to 1"),
        ({"ahead": 0}, "greater than or equal to 1"),
        ({"concurrent": 0}, "greater than or equal to 1"),
        ({"max_failed": -1}, "greater than or equal to 0"),
        ({"trails": 3}, "Extra inputs"),
    ],
)
def test_wrong_settings_fail(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SearchSettings.model_validate(values)


def run(
    work: Path,
    *,
    store: str = "one",
    said: list[tuple[int, int]] | None = None,
    trials: int = 12,
    **values: Any,
) -> SearchResult:
    fake = {key: values.pop(key) for key in ("raises", "nan", "stop_after") if key in values}
    objective = Analytic(str(work), **fake)
    (work / store).mkdir(exist_ok=True)
    progress = (
        (lambda done, total: said.append((done, total))) if said is not None else (lambda done, total: None)
    )
    return search(settings(trials, **values), MODEL, objective, work / store / "trials", progress=progress)


def points(result: SearchResult) -> list[tuple[Params, float | None]]:
    return [(trial.params, trial.value) for trial in result.trials]


@pytest.mark.usefixtures("ray_session")
class TestOnRay:
    """Each of these starts Tune, which takes seconds: they are few, and each looks at more than one thing."""

    def test_a_search_finds_the_best_and_does_not_do_it_twice(self, tmp_path: Path) -> None:
        said: list[tuple[int, int]] = []
        result = run(tmp_path, trials=24, ahead=8, said=said)
        assert [trial.number for trial in result.trials] == list(range(24))
        assert result.failed == []
        assert result.trials[0].params["own.family"] == "none"
        best = result.ranking[0]
        assert best.params["own.family"] == "exponential"
        assert 2.5 < best.params["own.half_life_days"] < 20
        for trial in result.trials:
            model = result.settings(trial)
            assert trial.value == pytest.approx(fakes.known(model), rel=1e-12)
            assert trial.per_query().mean() == trial.value
        assert result.importance
        assert said == [(done, 24) for done in range(25)]
        # The same proposals as without Ray, whichever trial ended first.
        chosen = settings(24, ahead=8)
        assert propose_all(Proposals(chosen, chosen.space)) == [trial.params for trial in result.trials]
        # The actors stay: what trials share was read once a worker, not once a trial.
        assert len((tmp_path / "opened").read_text().splitlines()) <= 4
        judged = fakes.calls(str(tmp_path))
        assert len(judged) == len(set(judged))

        said.clear()
        again = run(tmp_path, trials=24, ahead=8, said=said)
        assert said == [(24, 24)]
        assert fakes.calls(str(tmp_path)) == judged
        assert again == result

    def test_an_interrupted_search_ends_the_same(self, tmp_path: Path) -> None:
        whole = run(tmp_path, store="whole")
        (tmp_path / "calls").unlink()

        first = run(tmp_path, store="again", stop_after=9)
        assert len(first.failed) == 3
        assert {trial.error for trial in first.failed} == {"ConnectionError: the machine went away"}
        done = [file.stem for file in (tmp_path / "again" / "trials").glob("*.json")]
        assert len(done) == 9
        # One of the first is lost, and one cannot be read: these two run again, those after them do not.
        space = settings().space
        ledger = Ledger(tmp_path / "again" / "trials", Analytic("").key())
        lost, broken = (ledger.file(space.apply(MODEL, params)) for params in space.starts()[1:3])
        lost.unlink()
        broken.write_text('{"value": 0.9')
        before = fakes.calls(str(tmp_path))

        said: list[tuple[int, int]] = []
        second = run(tmp_path, store="again", said=said, concurrent=1)
        assert said[0] == (1, 12)
        assert said[-1] == (12, 12)
        assert points(second) == points(whole)
        assert second.ranking[0].params == whole.ranking[0].params
        repeated = [call for call, count in Counter(fakes.calls(str(tmp_path))).items() if count > 1]
        assert {ledger.file(ModelSettings.model_validate_json(call)) for call in repeated} == {lost, broken}
        assert len(fakes.calls(str(tmp_path))) == 12 + 2
        assert len(before) == 9

    def test_failed_trials_are_told_and_the_others_are_done(self, tmp_path: Path) -> None:
        result = run(tmp_path, raises="power", nan="geometric", trials=6)
        families = {trial.number: trial.params["own.family"] for trial in result.trials}
        assert {"power", "geometric"} <= set(families.values())
        assert [trial.number for trial in result.trials] == list(range(6))
        assert len(result.ranking) + len(result.failed) == 6
        for trial in result.trials:
            if families[trial.number] == "power":
                assert trial.error == "ArithmeticError: no luck with power"
            elif families[trial.number] == "geometric":
                assert trial.error == "FloatingPointError: the metric is nan"
            else:
                assert trial.error is None
                assert trial.value is not None
        assert not any(
            re.search("nan", file.read_text(), re.IGNORECASE) for file in tmp_path.glob("one/trials/*.json")
        )
        assert all(
            json.loads(file.read_text())["seconds"] >= 0 for file in tmp_path.glob("one/trials/*.json")
        )


def test_concurrent_reaches_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more trials at once than asked for."""
    seen: list[Any] = []

    class Stop(Exception):
        pass

    def tuner(trainable: Any, *, tune_config: Any, run_config: Any) -> Any:
        seen.append(tune_config.max_concurrent_trials)
        raise Stop

    monkeypatch.setattr("trainers.search.cluster.connect", lambda: None)
    monkeypatch.setattr("trainers.search.tune.Tuner", tuner)
    monkeypatch.setattr("trainers.search.tune.with_parameters", lambda trainable, **values: trainable)
    monkeypatch.setattr("trainers.search.tune.with_resources", lambda trainable, resources: trainable)
    for concurrent in (None, 3):
        with pytest.raises(Stop):
            run(tmp_path, concurrent=concurrent)
    assert seen == [None, 3]


def test_trials_whose_results_lie_elsewhere_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tune says that all went well, and nothing is where the driver looks."""

    def elsewhere(settings: Any, proposals: Proposals, *others: Any) -> dict[int, str]:
        while proposals.propose() is not None:
            pass
        proposals.values |= {0: 0.5, 1: None}
        return {1: "singular"}

    monkeypatch.setattr("trainers.search._run", elsewhere)
    found = search(settings(trials=2), MODEL, Analytic(str(tmp_path)), tmp_path / "trials")
    assert [trial.error for trial in found.trials] == [
        "the trial left no result: all nodes must share the storage of `work`, and have the same Lethe",
        "singular",
    ]


def test_a_wrong_space_fails_before_ray_starts(tmp_path: Path) -> None:
    chosen = SearchSettings.model_validate({"space": {"linear": {"lambda": [1, 2]}}})
    with pytest.raises(ValueError, match="the term `linear` has no setting 'lambda' to search"):
        search(chosen, MODEL, Analytic(str(tmp_path)), tmp_path / "trials")
    assert not (tmp_path / "trials").exists()
