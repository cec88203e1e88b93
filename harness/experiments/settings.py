"""The settings of the simulated A/B test."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator


class AbSettings(BaseModel):
    """The simulated A/B test on the test queries.

    Attributes:
        shares: of the arms A (the other model) and B (the candidate).
        salt: of the hash that deals users to them.
        power: with which `needed` and `detectable` are reckoned.
        cuped: whether what was known of a user before the cut is taken out of the outcome, in a second reading.
        tightest: the share of the users at which the always-valid interval is tightest; 1 is the end of the test.
        guardrails: metrics of the candidate that must not fall by more than so much, as in {recall@10: 0.01}.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shares: tuple[float, float] = (0.5, 0.5)
    salt: str = "lethe"
    power: float = Field(0.8, gt=0, lt=1)
    cuped: bool = True
    tightest: float = Field(1.0, gt=0)
    guardrails: dict[str, float] = {}

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: tuple[float, float]) -> tuple[float, float]:
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"`shares` must be two positive numbers that sum to 1, but got {list(shares)}.")
        return shares

    @field_validator("guardrails")
    @classmethod
    def _margins(cls, guardrails: dict[str, float]) -> dict[str, float]:
        for name, margin in guardrails.items():
            if not margin > 0:
                raise ValueError(f"a guardrail's margin must be above 0, but got {{{name}: {margin}}}.")
        return guardrails
