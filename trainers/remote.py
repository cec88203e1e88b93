"""What went wrong on another machine, in a line."""

from __future__ import annotations

import traceback

from ray.exceptions import RayActorError

DIED = "its process died: it was killed, or its node went away or ran out of memory"


def reason(error: BaseException) -> str:
    """The last line of a remote error: the exception that the trial raised."""
    return DIED if isinstance(error, RayActorError) else _last(str(error)) or type(error).__name__


def told(error: BaseException) -> str:
    """The same of an error that is at hand: its last line, with its type.

    >>> told(ValueError("no luck"))
    'ValueError: no luck'
    """
    return _last("".join(traceback.format_exception_only(error)))


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # That line has pydantic's address.
    lines = [line for line in lines if not line.startswith("For further information visit")]
    return lines[-1] if lines else ""
