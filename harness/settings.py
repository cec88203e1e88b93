"""The configuration of a run: one YAML file into one typed tree, checked before anything starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from evaluators import Facts, Intervals, Method, resolve
from harness import trees
from harness.data.settings import DataSettings
from harness.errors import ConfigurationError
from harness.experiments.settings import AbSettings
from harness.gate.settings import GateSettings
from harness.masking import masked
from harness.mistakes import one_line
from harness.off_policy.settings import OffPolicySettings
from harness.report.settings import ReportSettings
from harness.splits import SplitSettings
from trainers.fitting.finetune import FinetuneSettings, neural_terms
from trainers.model import ModelSettings
from trainers.search.settings import SearchSettings
from trainers.training.computing import ComputeSettings


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EvaluateSettings(_Settings):
    """Which figures are reported, at which cut-offs, and how sure their intervals are.

    Attributes:
        level: of the intervals.
        interval: how they are found (`evaluators.interval`): `percentile` and `bca` resample users, `robust` is
            t times the cluster-robust standard error.
        half_life: in days; what `staleness` and `category_staleness` call old.
        seeds: `lethe evaluate` fits the model with each of these too, and reports the mean over seeds with an interval
            for what other seeds and other users would give.
    """

    k: tuple[int, ...] = Field((10,), min_length=1)
    metrics: tuple[str, ...] = ("ndcg", "recall", "precision", "mrr", "hit_rate", "coverage")
    level: float = Field(0.95, gt=0, lt=1)
    interval: Method = "percentile"
    half_life: float | None = Field(None, gt=0)
    seeds: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> EvaluateSettings:
        resolve(self.metrics, self.k)
        if self.seeds and (len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds)):
            raise ValueError(
                f"`evaluate.seeds` must be at least two different seeds, but got {list(self.seeds)}."
            )
        return self

    @property
    def how(self) -> Intervals:
        """How intervals are found."""
        return Intervals(self.level, method=self.interval)

    @property
    def told(self) -> dict[str, Any]:
        """How intervals are found, as pages and descriptions say it."""
        return {"level": self.level, "method": self.interval}


class TrainSettings(ComputeSettings):
    """How fits run: 0 workers is this process, 1 or more are Ray Train workers of a CPU (or GPU) each.

    Attributes:  those of `trainers.training.computing.ComputeSettings`, and
        workers: so many, or `[fewest, most]`: as many as there is room for, and after nodes are lost with those left.
        gpu: whether each takes a GPU.
        max_failures: so often a fit goes on from its last checkpoint after a worker or its node was lost.
    """

    workers: int | tuple[int, int] = 0
    gpu: bool = False
    max_failures: int = Field(0, ge=0)

    @field_validator("workers", mode="before")
    @classmethod
    def _number_or_range(cls, workers: Any) -> Any:
        ranged = isinstance(workers, list | tuple)
        counts = list(workers) if ranged else [workers]
        whole = all(type(count) is int for count in counts)
        if not whole or len(counts) != 1 + ranged or not ranged <= counts[0] <= counts[-1]:
            raise ValueError(
                "must be a number of workers from 0 on, or [fewest, most] with 1 <= fewest <= most, "
                f"but got {workers!r}."
            )
        return workers

    @property
    def fewest(self) -> int:
        """The workers without which no fit begins."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most(self) -> int:
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    @property
    def compute(self) -> ComputeSettings:
        return ComputeSettings.model_validate(self.model_dump(include=set(ComputeSettings.model_fields)))


class RegistrySettings(_Settings):
    """The name of the model in the MLflow registry, and its gate.

    Attributes:
        users: whether a version brings the histories of the log's users with it, so that the served model can be asked
            by their ids; without them it takes histories alone.
    """

    name: str = Field(min_length=1)
    gate: GateSettings = GateSettings()
    users: bool = True

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if re.search(r"[/:.%\"']", name) or name != name.strip():
            raise ValueError(f"`registry.name` must not hold any of / : . % or quotes, but got {name!r}.")
        return name


class RunSettings(_Settings):
    """A whole configuration. The files of `configs/` are examples; each block's docstring has the rest."""

    data: DataSettings
    split: SplitSettings = SplitSettings()
    model: ModelSettings
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    search: SearchSettings | None = None
    finetune: FinetuneSettings | None = None
    off_policy: OffPolicySettings | None = None
    ab: AbSettings = AbSettings()
    registry: RegistrySettings | None = None
    report: ReportSettings = ReportSettings()
    seed: int = 0
    work: str = ".lethe/runs"
    """Where runs keep their work, relative to the working directory; on a cluster, storage that all nodes share."""

    @model_validator(mode="after")
    def _agree(self) -> RunSettings:
        if self.search:
            self.search.check(self.model)
            _per_query(self.search.metric, "search.metric")
        if self.registry and self.registry.gate.metric:
            _per_query(self.registry.gate.metric, "registry.gate.metric")
        guarded_by_gate = self.registry.gate.guardrails if self.registry else {}
        for name in dict.fromkeys((*self.evaluate.metrics, self.metric, self.gate_metric, *guarded_by_gate)):
            self._has_facts(name)
        for guarded in self.ab.guardrails:
            _per_query(guarded, f"ab.guardrails.{guarded}")
        for term in self.model.terms:
            self._has_groups(term.label, term.forgetting.scope)
        for trained in neural_terms(self.model):
            self.train.check(trained.label, trained.training)
            if self.finetune:
                self.train.check(trained.label, self.finetune)
        weighted = [term.label for term in self.model.terms if term.weights]
        if weighted and self.data.columns.weight is None:
            raise ValueError(
                f"`weights: true` of the term {weighted[0]!r} needs `data.columns.weight`, the column it counts by."
            )
        if self.finetune and not any(map(self.finetune.moves, self.model.terms)):
            kinds = ", ".join(term.kind for term in self.model.terms)
            raise ValueError(
                f"`finetune` must have something to move, but the model has only ({kinds}); add a term that is trained "
                "by gradient, set `finetune.passes` for closed forms (all but `own`), or leave `finetune` out."
            )
        return self

    def _has_groups(self, label: str, scope: str) -> None:
        """Raise ValueError where the data cannot have the groups of a scope."""
        needed = {
            "event_type": (
                self.data.columns.event_type,
                "`data.columns.event_type`, the column of the types",
            ),
            "category": (self.data.items, "`data.items`, a table with a column `categories`"),
        }
        there, what = needed.get(scope, (True, ""))
        if not there:
            raise ValueError(f"`scope: {scope}` of the term {label!r} needs {what}.")

    def _has_facts(self, name: str) -> None:
        """Raise ValueError where the data cannot have what a metric needs."""
        given = {
            "weights": (self.data.columns.weight, "`data.columns.weight`, the column of weights or ratings"),
            "categories": (self.data.items, "`data.items`, a table with a column `categories`"),
            "half_life": (self.evaluate.half_life, "`evaluate.half_life`, in days"),
            "repeats": (
                self.data.repeats,
                "`data.repeats: true`; without, category_staleness tells",
            ),
            "embeddings": (
                None,
                "vectors of items, which only the library can be given (`evaluators.Facts`)",
            ),
        }
        for metric in resolve([name], self.evaluate.k):
            for need in sorted(metric.needs & set(given)):
                there, what = given[need]
                if not there:
                    raise ValueError(f"the metric {metric.name!r} needs {Facts.parts[need]}: {what}.")

    @property
    def metric(self) -> str:
        """What choices are made by: the search's metric, or NDCG at the first cut-off."""
        return self.search.metric if self.search else f"ndcg@{self.evaluate.k[0]}"

    @property
    def gate_metric(self) -> str:
        chosen = self.registry.gate.metric if self.registry else None
        return chosen or self.metric

    def text(self) -> str:
        """As YAML, every default filled in; `***` stands for what a URI holds of logins and secrets."""
        return masked(yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False))


def _per_query(metric: str, where: str) -> None:
    found = resolve([metric])
    if len(found) != 1 or not found[0].decides:
        raise ValueError(
            f"`{where}` must be one metric with a value per query of which more is better, such as ndcg@10, "
            f"but got {metric!r}."
        )


def load(
    path: Path | str, changes: Sequence[str] | None = None, shapes: Sequence[Path | str] = ()
) -> RunSettings:
    """Read a configuration file, lay other files over it, apply `a.b=value` changes, check everything.

    Args:
        shapes: files with some settings each, such as those of `configs/cluster/`; a later one lies over those before.

    Relative paths of the data are taken from the folder of `path`.

    Raises:
        ConfigurationError: in one line, what is wrong and what to write instead.
    """
    path = Path(path)
    files = [(name, trees.read(name)) for name in (path, *map(Path, shapes))]
    tree = reduce(trees.lay_over, (content for _, content in files))
    for change in changes or []:
        trees.change(tree, change)
    try:
        settings = RunSettings.model_validate(tree)
    except ValidationError as error:
        where = trees.source(error.errors()[0]["loc"], files)
        raise ConfigurationError(f"{where}: {one_line(error, RunSettings)}") from None
    return settings.model_copy(update={"data": settings.data.resolve(path.absolute().parent)})
