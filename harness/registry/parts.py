"""What lies below a run in MLflow: the search with its trials, training, evaluation, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainers.search.outcome import Outcome


@dataclass(frozen=True)
class Part:
    """A nested run.

    Attributes:
        path: what it is, below what: ``("search", "trial-003")``.
        series: by metric, its values from step 0 on; None where a step has none.
        ended: how, as MLflow calls it: `FINISHED`, `FAILED`, or `KILLED` of a trial that was stopped early; `RUNNING`
            while it goes on.
    """

    path: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    ended: str = "FINISHED"

    @property
    def name(self) -> str:
        return "/".join(self.path)


def parts(story: Mapping[str, Any]) -> Iterator[Part]:
    """The parts of what a run tells of itself, each after the one that it lies below.

    >>> trial = {"trial": "trial-000", "value": 0.5, "control": False, "params": {"l2": 5}}
    >>> search = {"trials": 1, "control_trials": 0, "history": [trial]}
    >>> [part.name for part in parts({"metric": "ndcg@10", "search": search, "training": [], "models": {}})]
    ['search', 'search/trial-000', 'evaluation']
    """
    if search := story["search"]:
        for called, control in (("search", False), ("search under none", True)):
            mine = [trial for trial in search["history"] if trial["control"] == control]
            if mine:
                yield of_search(called, story["metric"], len(mine), mine)
                yield from (of_trial(called, story["metric"], trial) for trial in mine)
    for stage in dict.fromkeys(fit["stage"] for fit in story["training"]):
        fits = [fit for fit in story["training"] if fit["stage"] == stage]
        series = {
            f"{fit['term']}.{name}": fit[name] for fit in fits for name in ("loss", "validation") if fit[name]
        }
        yield Part((stage,), {f"{fit['term']}.best_epoch": fit["best_epoch"] for fit in fits}, series)
    figures = {
        f"{model}.{_plain(metric)}": [cell["mean"]]
        for model, cells in story["models"].items()
        for metric, cell in cells.items()
        if cell["mean"] is not None
    }
    yield Part(("evaluation",), {}, figures)


def trial_of(outcome: Outcome) -> dict[str, Any]:
    """A trial that is over, as the story of a run holds it."""
    stopped = outcome.stop._asdict() if outcome.stop else None
    return {
        "trial": outcome.name,
        "value": outcome.value,
        "stopped": stopped,
        "params": outcome.params,
        "rounds": [step.value for step in outcome.steps if step.value is not None],
    }


def of_search(
    called: str, metric: str, trials: int, first: Iterable[Mapping[str, Any]], ended: str = "FINISHED"
) -> Part:
    """A search of so many trials, of which the first ones are over: the best so far after each of them."""
    best: list[float | None] = []
    for trial in first:
        values = [value for value in (*best[-1:], trial["value"]) if value is not None]
        best.append(max(values, default=None))
    series = {_plain(metric): best} if any(value is not None for value in best) else {}
    return Part((called,), {"trials": trials, "metric": metric}, series, ended)


def of_trial(called: str, metric: str, trial: Mapping[str, Any]) -> Part:
    """A trial below its search."""
    value, stopped = trial["value"], trial.get("stopped")
    series: dict[str, Sequence[float | None]] = {_plain(metric): [value]} if value is not None else {}
    if stopped:
        series = {f"{_plain(metric)} when stopped": [stopped["value"]], "stopped at": [stopped["at"]]}
    if rounds := trial.get("rounds"):
        series[f"{_plain(metric)} after each round"] = rounds
    ended = "KILLED" if stopped else "FAILED" if value is None else "FINISHED"
    params = {_plain(name): setting for name, setting in (trial["params"] or {}).items()}
    return Part((called, trial["trial"]), params, series, ended)


def _plain(name: str) -> str:
    """MLflow's names allow no @ and no +.

    >>> _plain("ndcg@10"), _plain("own+linear.family")
    ('ndcg_10', 'own and linear.family')
    """
    return name.replace("@", "_").replace("+", " and ")
