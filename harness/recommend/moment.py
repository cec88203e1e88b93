"""Moments as a person writes them, and as they are told."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from harness.errors import ConfigurationError


def told(moment: float) -> str:
    """Unix seconds as ISO 8601, UTC.

    >>> told(0.5)
    '1970-01-01T00:00:00.500000+00:00'
    """
    return datetime.fromtimestamp(moment, UTC).isoformat()


def moment_of(text: str | None) -> float:
    """Unix seconds of what `--at` says, now where it says nothing; ConfigurationError where it cannot be read.

    >>> moment_of("1970-01-02"), moment_of("90")
    (86400.0, 90.0)
    """
    if text is None:
        return datetime.now(UTC).timestamp()
    with contextlib.suppress(ValueError, OverflowError, OSError):  # no number, or none that is a date
        return datetime.fromtimestamp(float(text), UTC).timestamp()
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"`--at` must be a date and time as in 2011-12-01T09:30, or unix seconds, but got {text!r}."
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
