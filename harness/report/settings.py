"""What a report shows beyond figures."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ReportSettings(BaseModel):
    """The examples of real users in a report.

    Attributes:
        users: how many; with `registry.users: false` none is shown, since histories stay at home then.
        forgotten: an event of which less than this share is left counts as forgotten.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: int = Field(5, ge=0, le=50)
    forgotten: float = Field(0.1, gt=0, lt=1)
