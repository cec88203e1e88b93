"""The runs below a run in MLflow, written once each, however often they are told."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import mlflow
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param, Run
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from harness.masking import masked
from harness.registry.parts import Part

OF_TAG, PART_TAG = "lethe.of", "lethe.part"
"""Of which run of Lethe, by its token, a nested run is a part, and which part: it is found again by both."""
MOST = 1000  # metrics of a call, as MLflow takes them
GOING_ON, FAILED = "RUNNING", "FAILED"


@dataclass
class _Run:
    """What is known of one.

    Attributes:
        begun: when, in MLflow's milliseconds; all its metrics have this time, so that one told twice stays one.
        steps: how many of each series this process has told; None before it told anything.
    """

    id: str
    begun: int
    status: str
    steps: int | None = None

    @classmethod
    def of(cls, run: Run) -> _Run:
        return cls(run.info.run_id, run.info.start_time, run.info.status)


class Below:
    """The runs below one run of MLflow. What a process that was killed wrote of them is found, and gone on with.

    Attributes:
        parent: the run that they lie below.
        token: what the run of Lethe calls itself.
    """

    def __init__(self, client: MlflowClient, experiment: str, parent: str, token: str) -> None:
        self.client, self.experiment, self.parent, self.token = client, experiment, parent, token

    def write(self, parts: Iterable[Part]) -> None:
        """Write parts, each after the one that it lies below; one that has ended is not written again, unless it failed
        and has been tried once more."""
        for part in parts:
            run = self._runs.get(part.name) or self._make(part)
            if run.status == GOING_ON or run.status == FAILED != part.ended:
                self._fill(run, part)

    @cached_property
    def _runs(self) -> dict[str, _Run]:
        """What is there, by its name."""
        return {run.data.tags[PART_TAG]: _Run.of(run) for run in self._written()}

    def _written(self) -> Iterator[Run]:
        page = None
        while True:
            found = self.client.search_runs(
                [self.experiment], f"tags.`{OF_TAG}` = '{self.token}'", page_token=page
            )
            yield from found
            page = found.token
            if not page:
                return

    def _make(self, part: Part) -> _Run:
        above = self._runs["/".join(part.path[:-1])].id if len(part.path) > 1 else self.parent
        tags = {
            MLFLOW_PARENT_RUN_ID: above,
            MLFLOW_RUN_NAME: part.path[-1],
            OF_TAG: self.token,
            PART_TAG: part.name,
        }
        run = self._runs[part.name] = _Run.of(self.client.create_run(self.experiment, tags=tags))
        return run

    def _fill(self, run: _Run, part: Part) -> None:
        metrics = [
            Metric(name, float(value), run.begun, step)
            for name, values in part.series.items()
            for step, value in enumerate(values)
            if step >= (run.steps or 0) and value is not None
        ]
        params = [Param(name, str(value)[:6000]) for name, value in part.params.items()]
        if metrics or (params and run.steps is None):
            self.client.log_batch(run.id, metrics[:MOST], params if run.steps is None else [])
        for start in range(MOST, len(metrics), MOST):
            self.client.log_batch(run.id, metrics[start : start + MOST])
        run.steps = max(map(len, part.series.values()), default=0)
        if part.ended == run.status:
            return
        if part.ended == GOING_ON:
            self.client.update_run(run.id, GOING_ON)
        else:
            self.client.set_terminated(run.id, part.ended)
        run.status = part.ended


def reads(name: str, fingerprint: str, location: str) -> None:
    """Tell the active run which data it read: MLflow shows them with it, and finds other runs on the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two of MLflow's kinds of local files fit a path; they are the same
        source = resolve_dataset_source(masked(location))
    mlflow.log_input(MetaDataset(source, name, fingerprint), context="training")
