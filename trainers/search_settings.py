"""The configuration of a search, apart from `trainers.search` so that reading one does not import Ray."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from trainers.halving import HalvingSettings
from trainers.space import Space


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


class SearchSettings(BaseModel):
    """`{trials: 48, metric: ndcg@10, space: {own: {…}}}`.

    Attributes:
        trials: how many, the starting points included.
        metric: what validation is ranked by.
        space: what varies.
        seed: of the proposals.
        ahead: a trial is proposed from the values of all trials before it but the latest `ahead` − 1, so that so many
            can run side by side; another value makes other proposals.
        concurrent: the most trials at once; by default as many as the cluster has room for, and of each search never
            more than `ahead`.
        max_failed: so many trials may fail before the run counts as failed.
        scheduler: stops trials early that lag behind; by default every trial is whole.
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
    scheduler: HalvingSettings | None = None
    trial: TrialSettings = TrialSettings()
    warm_start: str | None = None
