"""The search: what it finds, that it is the same every time, and that it goes on where it was."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.trainers import fakes
from tests.trainers.fakes import Analytic
from tests.trainers.search import populations
from tests.trainers.search.searching import MODEL, propose_all, settings, subject
from tests.trainers.search.test_halving import run as without_ray
from trainers import cluster
from trainers.model import ModelSettings
from trainers.search.curve_space import Params
from trainers.search.ledger import Ledger
from trainers.search.objective import Subject
from trainers.search.outcome import Outcome, SearchResult
from trainers.search.proposals import Proposals
from trainers.search.search import NoRoom, search
from trainers.search.settings import SearchSettings
from trainers.search.space import Space


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
    heard: list[Outcome] | None = None,
    trials: int = 12,
    **values: Any,
) -> SearchResult:
    names = {field.name for field in fields(Analytic)} - {"scheduler"}
    fake = {key: values.pop(key) for key in list(values) if key in names}
    chosen = settings(trials, **values)
    objective = Analytic(str(work), scheduler=chosen.scheduler, **fake)
    (work / store).mkdir(exist_ok=True)
    progress = (
        (lambda done, total: said.append((done, total))) if said is not None else (lambda done, total: None)
    )
    heard = [] if heard is None else heard
    (found,) = search(
        chosen,
        [subject()],
        objective,
        work / store / "trials",
        progress=progress,
        heard=lambda place, outcome: heard.append(outcome),
    )
    return found


def points(result: SearchResult) -> list[tuple[Params, float | None]]:
    return [(trial.params, trial.value) for trial in result.trials]


@pytest.mark.usefixtures("ray_session")
class TestOnRay:
    """Each of these starts Tune, which takes seconds: they are few, and each looks at more than one thing."""

    def test_a_search_finds_the_best_and_does_not_do_it_twice(self, tmp_path: Path) -> None:
        said: list[tuple[int, int]] = []
        heard: list[Outcome] = []
        result = run(tmp_path, trials=24, ahead=8, said=said, heard=heard)
        for outcome in heard:
            assert (outcome.params, outcome.value) == (
                result.trials[outcome.number].params,
                result.trials[outcome.number].value,
            )
        assert sorted(outcome.number for outcome in heard) == list(range(24))
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
        heard.clear()
        again = run(tmp_path, trials=24, ahead=8, said=said, heard=heard)
        assert said == [(24, 24)]
        assert [outcome.number for outcome in heard] == list(range(24))
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
        """One raises, one has no number for a metric, one hangs, and one's process is killed."""
        result = run(
            tmp_path,
            raises="power",
            nan="geometric",
            hangs="exponential",
            kills="none",
            trials=7,
            trial={"seconds": 6},
        )
        said = {
            "power": "ArithmeticError: no luck with power",
            "geometric": "FloatingPointError: the metric is nan",
            "exponential": "the trial took longer than `search.trial.seconds` allows (6); raise it, or narrow "
            "the space",
        }
        families = [trial.params["own.family"] for trial in result.trials]
        assert {"none", *said} <= set(families)
        assert [trial.number for trial in result.trials] == list(range(7))
        killed = result.trials[families.index("none")]
        assert killed.error == "its process died: it was killed, or its node went away or ran out of memory"
        for trial, family in zip(result.trials, families, strict=True):
            if family != "none":
                assert trial.error == said[family]
        finished = list(tmp_path.glob("one/trials/*.json"))
        assert len(result.ranking) == len(finished)
        assert not any(re.search("nan", file.read_text(), re.IGNORECASE) for file in finished)
        assert all(json.loads(file.read_text())["seconds"] >= 0 for file in finished)

    def test_trials_that_lag_are_stopped_and_a_search_goes_on_among_them(self, tmp_path: Path) -> None:
        """What is written down of nine trials, whole and stopped, is as a kill leaves it; the others end as they do
        without Ray, one after the other."""
        asha = {"kind": "asha", "grace": 1, "factor": 3}
        chosen = settings(16, ahead=3, scheduler=asha)
        expected, spent = without_ray(chosen, epochs=27)
        objective = Analytic(str(tmp_path), epochs=27, scheduler=chosen.scheduler)
        ledger = Ledger(tmp_path / "one" / "trials", objective.key())
        for number in (*range(8), 10):
            model, stop = subject().at(expected.params[number]), expected.stops.get(number)
            whole = None if stop else fakes.around(fakes.known(model))
            ledger.enter(model, whole, 1.0, readings=expected.readings[number])
        assert set(expected.stops) & set(range(8))
        before = {file: file.stat().st_mtime_ns for file in ledger.folder.iterdir()}

        result = run(tmp_path, trials=16, ahead=3, scheduler=asha, epochs=27)
        assert result.failed == []
        assert {file: file.stat().st_mtime_ns for file in before} == before  # none was done twice
        done = {line.partition(" ")[2] for line in (tmp_path / "epochs").read_text().splitlines()}
        late = [subject().at(expected.params[number]).model_dump_json() for number in (8, 9, *range(11, 16))]
        assert done == set(late)
        assert {trial.number: trial.stop for trial in result.stopped} == expected.stops
        assert [trial.params for trial in result.trials] == expected.params
        left = [
            expected.stops[number].at if number in expected.stops else 27 for number in (8, 9, *range(11, 16))
        ]
        assert fakes.epochs_spent(str(tmp_path)) == sum(left)
        assert spent < 16 * 27
        best = result.ranking[0]
        assert len(result.ranking) + len(result.stopped) == 16
        assert best.value == pytest.approx(fakes.known(result.settings(best)))  # of a whole training
        with pytest.raises(ValueError, match="was stopped before its end"):
            result.stopped[0].per_query()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_population_is_the_same_on_any_number_of_workers_and_after_a_kill(tmp_path: Path) -> None:
    """On one worker until the machine is gone, in the middle of the third member's second round; then on two."""
    chosen = populations.settings(6, scheduler={"interval": 10})
    (tmp_path / "alone").mkdir()
    expected = populations.run(chosen, tmp_path / "alone")

    def go(**fake: Any) -> SearchResult:
        objective = populations.Noisy(str(tmp_path), populations.population_of(chosen), **fake)
        (found,) = search(settings_of, [populations.subject()], objective, tmp_path / "trials")
        return found

    settings_of = chosen.model_copy(update={"concurrent": 1})
    broken = go(stop_after=85)
    assert broken.failed
    settings_of = chosen
    result = go()
    assert result.failed == []
    last = len(expected.ends) - 1
    assert [trial.value for trial in result.trials] == [expected.values[last, m] for m in range(6)]
    for member, trial in enumerate(result.trials):
        assert trial.course == tuple((step.begin, step.params) for step in expected.steps(member))
        assert [step.member for step in trial.steps] == list(expected.lineage[last, member])
        assert trial.at == populations.EPOCHS
        assert [set(step.told) for step in trial.steps] == [{"variance"}, {"variance"}, set()]
        assert result.settings(trial) == populations.subject_patient().along(expected.course(member))
    assert not list((tmp_path / "trials" / "rounds").glob("*.pt"))  # nobody needs them any more
    trained = len(populations.trained(tmp_path))
    assert trained == 6 * populations.EPOCHS + 5  # of the round that broke in its middle


def test_concurrent_reaches_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more trials at once than asked for."""
    seen: list[Any] = []

    class Stop(Exception):
        pass

    def tuner(trainable: Any, *, tune_config: Any, run_config: Any) -> Any:
        seen.append(tune_config.max_concurrent_trials)
        raise Stop

    monkeypatch.setattr("trainers.search.search.cluster.connect", lambda: None)
    monkeypatch.setattr("trainers.search.search.tune.Tuner", tuner)
    monkeypatch.setattr("trainers.search.search.tune.with_parameters", lambda trainable, **values: trainable)
    monkeypatch.setattr("trainers.search.search.cluster.room", lambda resources: 2)
    monkeypatch.setattr("trainers.search.search.tune.with_resources", lambda trainable, resources: trainable)
    for concurrent in (None, 3):
        with pytest.raises(Stop):
            run(tmp_path, concurrent=concurrent)
    assert seen == [None, 3]


def test_trials_whose_results_lie_elsewhere_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tune says that all went well, and nothing is where the driver looks."""

    def elsewhere(settings: Any, searches: list[Proposals], *others: Any) -> dict[tuple[int, int], str]:
        (proposals,) = searches
        while proposals.propose() is not None:
            pass
        proposals.values |= {0: 0.5, 1: None}
        return {(0, 1): "singular"}

    monkeypatch.setattr("trainers.search.search._run", elsewhere)
    (found,) = search(settings(trials=2), [subject()], Analytic(str(tmp_path)), tmp_path / "trials")
    assert [trial.error for trial in found.trials] == [
        "the trial left no result: all nodes must share the storage of `work`, and have the same Lethe",
        "singular",
    ]


def test_a_wrong_space_fails_before_ray_starts(tmp_path: Path) -> None:
    chosen = SearchSettings.model_validate({"space": {"linear": {"lambda": [1, 2]}}})
    with pytest.raises(ValueError, match="the term `linear` has no setting 'lambda' to search"):
        search(chosen, [Subject(MODEL, chosen.space)], Analytic(str(tmp_path)), tmp_path / "trials")
    assert not (tmp_path / "trials").exists()


def test_what_a_trial_takes_decides_how_many_run_at_once() -> None:
    of = SearchSettings.model_validate({"trial": {"cpus": 2, "memory_gb": 3}}).trial.resources()
    assert of == {"cpu": 2, "memory": 3e9}
    assert SearchSettings().trial.resources() == {"cpu": 1}


def test_a_trial_that_fits_no_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would wait for ever."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("trainers.search.search.cluster.connect", lambda: None)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 2.0, "memory": 10e9})
    with pytest.raises(
        NoRoom, match=r"`search.trial` must fit this machine, but asks for \{'cpu': 3.0\}; ask for less"
    ):
        run(tmp_path, trial={"cpus": 3})


def test_the_cluster_has_room_for_whole_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 7.0, "memory": 10e9})
    assert cluster.room({"cpu": 1}) == 7
    assert cluster.room({"cpu": 2}) == 3
    assert cluster.room({"cpu": 1, "memory": 4e9}) == 2
    assert cluster.room({"cpu": 8}) == 0
