"""The configuration of a run: one YAML file into one typed tree, checked before anything starts."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    field_validator,
    model_validator,
)

from evaluators import Method, resolve
from harness.data.settings import DataSettings
from harness.errors import ConfigurationError
from harness.experiments.settings import AbSettings
from trainers.finetune import FinetuneSettings
from trainers.model import ModelSettings
from trainers.search_settings import SearchSettings


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitSettings(_Settings):
    """Which queries are asked: `{protocol: successive, cuts: [0.8, 0.9]}`."""

    protocol: Literal["successive", "loo"] = "successive"
    cuts: tuple[float, float] = (0.8, 0.9)

    @field_validator("cuts")
    @classmethod
    def _ascending(cls, cuts: tuple[float, float]) -> tuple[float, float]:
        if not 0 < cuts[0] < cuts[1] < 1:
            raise ValueError(f"`0 < cuts[0] < cuts[1] < 1` must hold, but got {list(cuts)}.")
        return cuts


class EvaluateSettings(_Settings):
    """Which figures are reported, at which cut-offs, and how sure their intervals are.

    Attributes:
        level: of the intervals.
        interval: how they are found (`evaluators.interval`): `percentile` and `bca` resample users, `robust` is the
            cluster-robust normal approximation.
        seeds: `lethe evaluate` fits the model with each of these too, and reports the mean over seeds with an interval
            for what other seeds and other users would give.
    """

    k: tuple[int, ...] = (10,)
    metrics: tuple[str, ...] = ("ndcg", "recall", "precision", "mrr", "hit_rate", "coverage")
    level: float = Field(0.95, gt=0, lt=1)
    interval: Method = "percentile"
    seeds: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> EvaluateSettings:
        resolve(self.metrics, self.k)
        if self.seeds and (len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds)):
            raise ValueError(
                f"`evaluate.seeds` must be at least two different seeds, but got {list(self.seeds)}."
            )
        return self


class TrainSettings(_Settings):
    """How fits run: 0 workers is this process, 1 or more are Ray Train workers of a CPU (or GPU) each."""

    workers: int = Field(0, ge=0)
    gpu: bool = False
    max_failures: int = Field(0, ge=0)


class GateSettings(_Settings):
    """When a candidate may become champion.

    Attributes:
        metric: what must be better; the search's metric where it is left out.
        margin: the lower end of the paired interval must be above it.
        level: of that interval.
        coverage_loss: the largest share of the other model's coverage that may be lost.
    """

    metric: str | None = None
    margin: float = Field(0.0, ge=0)
    level: float = Field(0.95, gt=0, lt=1)
    coverage_loss: float = Field(0.2, ge=0, le=1)


class RegistrySettings(_Settings):
    """The name of the model in the MLflow registry, and its gate."""

    name: str = Field(min_length=1)
    gate: GateSettings = GateSettings()

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
    ab: AbSettings = AbSettings()
    registry: RegistrySettings | None = None
    seed: int = 0
    work: str = ".lethe/runs"
    """Where runs keep their work, relative to the working directory; on a cluster, storage that all nodes share."""

    @model_validator(mode="after")
    def _agree(self) -> RunSettings:
        if self.search:
            self.search.space.check(self.model)
            _per_query(self.search.metric, "search.metric")
        if self.registry and self.registry.gate.metric:
            _per_query(self.registry.gate.metric, "registry.gate.metric")
        for guarded in self.ab.guardrails:
            _per_query(guarded, f"ab.guardrails.{guarded}")
        for term in self.model.terms:
            self._has_groups(term.label, term.forgetting.scope)
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

    @property
    def metric(self) -> str:
        """What choices are made by: the search's metric, or NDCG at the first cut-off."""
        return self.search.metric if self.search else f"ndcg@{self.evaluate.k[0]}"

    @property
    def gate_metric(self) -> str:
        chosen = self.registry.gate.metric if self.registry else None
        return chosen or self.metric

    def text(self) -> str:
        """As YAML, every default filled in."""
        dumped: str = yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False)
        return dumped


def _per_query(metric: str, where: str) -> None:
    found = resolve([metric])
    if len(found) != 1 or metric.startswith("coverage"):
        raise ValueError(
            f"`{where}` must be one metric with a value per query, such as ndcg@10, but got {metric!r}."
        )


def load(path: Path | str, changes: list[str] | None = None) -> RunSettings:
    """Read a configuration file, apply `a.b=value` changes, check everything.

    Relative paths of the data are taken from the file's folder.

    Raises:
        ConfigurationError: in one line, what is wrong and what to write instead.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigurationError(f"A configuration must be a file, but there is none at `{path}`.") from None
    except IsADirectoryError:
        raise ConfigurationError(f"A configuration must be a file, but `{path}` is a folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = str(error).replace("\n", " ")
        raise ConfigurationError(f"A configuration must be YAML, but `{path}` is not: {where}") from None
    if not isinstance(tree, dict):
        raise ConfigurationError(
            f"A configuration must be a mapping, but `{path}` holds {type(tree).__name__}."
        )
    for change in changes or []:
        _set(tree, change)
    try:
        settings = RunSettings.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {_one_line(error)}") from None
    return settings.model_copy(update={"data": settings.data.resolve(path.absolute().parent)})


def _set(tree: dict[str, Any], change: str) -> None:
    """`model.terms.0.weight=2`: a number steps into a list."""
    name, equals, text = change.partition("=")
    if not equals or not name:
        raise ConfigurationError(f"`--set` takes NAME=VALUE, as in split.protocol=loo, but got {change!r}.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigurationError(f"`--set {change}`: the value must be YAML, but got {text!r}.") from None
    *steps, last = name.split(".")
    node: Any = tree
    for step in steps:
        if isinstance(node, list) and step.isdecimal() and int(step) < len(node):
            node = node[int(step)]
        elif isinstance(node, dict):
            node = node.setdefault(step, {})
        else:
            raise ConfigurationError(f"`--set {change}`: there is no `{step}` to step into.")
    if isinstance(node, list) and last.isdecimal() and int(last) < len(node):
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigurationError(f"`--set {change}`: there is no `{last}` to set.")


def _one_line(error: ValidationError) -> str:
    """The first thing wrong; for an unknown key, the nearest that exists there."""
    first = error.errors()[0]
    where, beside = _place(first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), beside, n=1, cutoff=0.0)
        return f"there is no setting `{where}`; did you mean `{near[0]}`?"
    message = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    if first["type"] == "value_error" or "input" not in first or isinstance(first["input"], dict | list):
        return f"`{where}`: {message}" if where else message
    return f"`{where}`: {message}, but got {first['input']!r}."


def _place(loc: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """A place in the configuration as a person writes it, and the names of the settings that stand there.

    pydantic puts the kind of a term into its path (`model.terms.0.own.weight`); nobody writes it there."""
    here: list[type[BaseModel]] = [RunSettings]
    steps: list[str] = []
    for number, part in enumerate(loc):
        inside = [found for model in here for found in _models(_annotation(model, part))]
        of_kind = [model for model in here if _default(model, "kind") == part]
        if of_kind and isinstance(loc[number - 1], int):
            here = of_kind
            continue
        steps.append(str(part))
        if number < len(loc) - 1:
            here = inside or here
    return ".".join(steps), sorted({name for model in here for name in model.model_fields})


def _annotation(model: type[BaseModel], field: int | str) -> Any:
    found = model.model_fields.get(str(field))
    return found.annotation if found else None


def _default(model: type[BaseModel], field: str) -> Any:
    found = model.model_fields.get(field)
    return found.default if found else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of this type may hold, through lists, mappings and alternatives."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _models(annotation.model_fields["root"].annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models(inner)]
