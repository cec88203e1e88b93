"""The configuration of a search, apart from `trainers.search` so that reading one does not import Ray."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from trainers.space import Space


class SearchSettings(BaseModel):
    """`{trials: 48, metric: ndcg@10, space: {own: {…}}}`.

    Attributes:
        trials: how many, the starting points included.
        metric: what validation is ranked by.
        space: what varies.
        seed: of the proposals.
        ahead: a trial is proposed from the values of all trials before it but the latest `ahead` − 1, so that so many
            can run side by side; another value makes other proposals.
        concurrent: the most trials at once; by default as many as the cluster has CPUs, and never more than `ahead`.
        max_failed: so many trials may fail before the run counts as failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: int = Field(48, ge=1)
    metric: str = "ndcg@10"
    space: Space = Space({})
    seed: int = 0
    ahead: int = Field(8, ge=1)
    concurrent: int | None = Field(None, ge=1)
    max_failed: int = Field(0, ge=0)
