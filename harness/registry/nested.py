"""The runs below a run in MLflow, as its users expect them: the search with its trials, training, evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlflow
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param, Run
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from harness.masking import masked

OF_TAG, PART_TAG = "lethe.of", "lethe.part"
"""Of which run of Lethe, by its token, a nested run is a part, and which part: it is found again by both."""
MOST = 1000  # metrics of a call, as MLflow takes them


@dataclass(frozen=True)
class Part:
    """A nested run.

    Attributes:
        path: what it is, below what: ``("search", "trial-003")``.
        series: by metric, its values from step 0 on.
        ended: how, as MLflow calls it: `FINISHED`, `FAILED`, or `KILLED` of a trial that was stopped early.
    """

    path: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
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
        yield from _searched(search, story["metric"], "search", search["trials"], control=False)
        if search["control_trials"]:
            yield from _searched(
                search, story["metric"], "search under none", search["control_trials"], control=True
            )
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


def _searched(
    search: Mapping[str, Any], metric: str, called: str, trials: int, *, control: bool
) -> Iterator[Part]:
    mine = [trial for trial in search["history"] if trial["control"] == control]
    values = [trial["value"] for trial in mine if trial["value"] is not None]
    best = {_plain(metric): [max(values)]} if values else {}
    yield Part((called,), {"trials": trials, "metric": metric}, best)
    for trial in mine:
        value, stopped = trial["value"], trial.get("stopped")
        series: dict[str, Sequence[float]] = {_plain(metric): [value]} if value is not None else {}
        if stopped:
            series = {f"{_plain(metric)} when stopped": [stopped["value"]], "stopped at": [stopped["at"]]}
        if rounds := trial.get("rounds"):
            series[f"{_plain(metric)} after each round"] = rounds
        ended = "KILLED" if stopped else "FAILED" if value is None else "FINISHED"
        params = {_plain(name): setting for name, setting in (trial["params"] or {}).items()}
        yield Part((called, trial["trial"]), params, series, ended)


def _plain(name: str) -> str:
    """MLflow's names allow no @ and no +.

    >>> _plain("ndcg@10"), _plain("own+linear.family")
    ('ndcg_10', 'own and linear.family')
    """
    return name.replace("@", "_").replace("+", " and ")


def log(
    client: MlflowClient, experiment: str, parent: str, token: str, told: Sequence[Part]
) -> dict[str, str]:
    """Write parts below the run `parent`; a part that is there already is not written again, so that a run that was
    killed while it wrote them goes on.

    Returns:
        The id of each part's run, by its name.
    """
    known = {run.data.tags[PART_TAG]: run for run in _written(client, experiment, token)}
    ids: dict[str, str] = {}
    for part in told:
        above = ids["/".join(part.path[:-1])] if len(part.path) > 1 else parent
        run = known.get(part.name) or client.create_run(
            experiment,
            tags={
                MLFLOW_PARENT_RUN_ID: above,
                MLFLOW_RUN_NAME: part.path[-1],
                OF_TAG: token,
                PART_TAG: part.name,
            },
        )
        ids[part.name] = run.info.run_id
        if run.info.status == "RUNNING":  # new, or left so by a process that was killed
            _fill(client, run, part)
    return ids


def reads(name: str, fingerprint: str, location: str) -> None:
    """Tell the active run which data it read: MLflow shows them with it, and finds other runs on the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two of MLflow's kinds of local files fit a path; they are the same
        source = resolve_dataset_source(masked(location))
    mlflow.log_input(MetaDataset(source, name, fingerprint), context="training")


def _written(client: MlflowClient, experiment: str, token: str) -> Iterator[Run]:
    page = None
    while True:
        found = client.search_runs([experiment], f"tags.`{OF_TAG}` = '{token}'", page_token=page)
        yield from found
        page = found.token
        if not page:
            return


def _fill(client: MlflowClient, run: Run, part: Part) -> None:
    """Of a run that was filled in part, what is there already is there under the same time and step: it stays one."""
    stamp = run.info.start_time
    metrics = [
        Metric(name, float(value), stamp, step)
        for name, values in part.series.items()
        for step, value in enumerate(values)
    ]
    params = [Param(name, str(value)[:6000]) for name, value in part.params.items()]
    client.log_batch(run.info.run_id, metrics[:MOST], params)
    for start in range(MOST, len(metrics), MOST):
        client.log_batch(run.info.run_id, metrics[start : start + MOST])
    client.set_terminated(run.info.run_id, part.ended)
