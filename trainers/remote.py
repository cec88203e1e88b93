"""What went wrong on another machine, in a line."""

from __future__ import annotations

from ray.exceptions import RayActorError

DIED = "its process died: it was killed, or its node went away or ran out of memory"


def reason(error: BaseException) -> str:
    """The last line of a remote error: the exception that the trial raised (pydantic adds an address to it)."""
    if isinstance(error, RayActorError):
        return DIED
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("For further information visit")]
    return lines[-1] if lines else type(error).__name__
