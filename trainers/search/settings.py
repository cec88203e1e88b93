"""The configuration of a search, apart from `trainers.search.search` so that reading one does not import Ray."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from trainers.model import ModelSettings
from trainers.search.halving import HalvingSettings
from trainers.search.population import PopulationSettings
from trainers.search.space import Space


class TrialSettings(BaseModel):
    """`{cpus: 1, memory_gb: 4, seconds: 600}`: what one trial takes; as many run at once as the cluster has room for.

    Attributes:
        cpus: CPUs of each trial.
        memory_gb: memory that each is given, in 10⁹ bytes; by default it is not counted.
        seconds: a trial that takes longer is ended, and counts as failed; by default none is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: float = Field(1.0, gt=0)
    memory_gb: float | None = Field(None, gt=0)
    seconds: float | None = Field(None, gt=0)

    def resources(self) -> dict[str, float]:
        """As Ray reads them."""
        memory = {} if self.memory_gb is None else {"memory": self.memory_gb * 1e9}
        return {"cpu": self.cpus, **memory}


def _kind(given: Any) -> str:
    """Which scheduler is meant: the one that stops trials, where nothing is said."""
    named = given.get("kind", "asha") if isinstance(given, dict) else getattr(given, "kind", "asha")
    return str(named)


Scheduler = Annotated[
    Annotated[HalvingSettings, Tag("asha")] | Annotated[PopulationSettings, Tag("pbt")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="`kind` must be asha (trials that lag are stopped) or pbt (settings change on the way).",
    ),
]


class SearchSettings(BaseModel):
    """`{trials: 48, metric: ndcg@10, space: {own: {…}}}`.

    Attributes:
        trials: how many, the starting points included; with a population, its members.
        metric: what validation is ranked by.
        space: what varies.
        seed: of the proposals.
        ahead: a trial is proposed from the values of all trials before it but the latest `ahead` − 1, so that so many
            can run side by side; another value makes other proposals.
        concurrent: the most trials at once; by default as many as the cluster has room for, and of each search never
            more than `ahead`.
        max_failed: so many trials may fail before the run counts as failed.
        scheduler: `asha` stops trials early that lag behind (`trainers.search.halving`), `pbt` changes settings inside
            a training (`trainers.search.population`); by default every trial is whole.
        trial: what one trial takes.
        warm_start: a former search on the same data and cuts: the id of its run (the name of its folder under `work`),
            a version of the registry, or the path of its folder. Its trials are known from the start.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: int = Field(48, ge=1)
    metric: str = "ndcg@10"
    space: Space = Space({})
    seed: int = 0
    ahead: int = Field(8, ge=1)
    concurrent: int | None = Field(None, ge=1)
    max_failed: int = Field(0, ge=0)
    scheduler: Scheduler | None = None
    trial: TrialSettings = TrialSettings()
    warm_start: str | None = Field(None, coerce_numbers_to_str=True)  # a version is a number in YAML

    @property
    def side_by_side(self) -> int:
        """So many trials of one search can run at once."""
        return self.trials if self.population else self.ahead

    @property
    def halving(self) -> HalvingSettings | None:
        """What stops trials early, if anything does."""
        return self.scheduler if isinstance(self.scheduler, HalvingSettings) else None

    @property
    def population(self) -> PopulationSettings | None:
        """What changes settings inside a training, if anything does."""
        return self.scheduler if isinstance(self.scheduler, PopulationSettings) else None

    def check(self, model: ModelSettings) -> None:
        """ValueError where a model has not what the search asks for."""
        self.space.check(model)
        if self.population:
            self.population.check(model, self.space)
