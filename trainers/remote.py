"""What went wrong on another machine, in a line."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """The last line of a remote error: the exception that the trial raised (pydantic adds an address to it)."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("For further information visit")]
    return lines[-1] if lines else type(error).__name__
