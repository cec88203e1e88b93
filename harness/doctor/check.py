"""One check: a look that says what it found, or what is not well and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.masking import masked
from harness.settings import RunSettings


class Unwell(Exception):
    """What was found, and what to do about it."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(found)
        self.mend = mend


@dataclass(frozen=True)
class Check:
    """Looks at one thing.

    Attributes:
        look: returns what was found; raises where that is not well.
        mend: what to do where `look` raised anything but `Unwell`, which knows better.
    """

    name: str
    look: Callable[[RunSettings], str]
    mend: str

    def made(self, settings: RunSettings) -> dict[str, Any]:
        """`{"check", "well", "found"}`, and `mend` where it is not well."""
        try:
            return {"check": self.name, "well": True, "found": masked(self.look(settings))}
        except Unwell as error:
            found, mend = str(error), error.mend
        except Exception as error:  # whatever goes wrong in a look is what the look was for
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            found, mend = (lines or [type(error).__name__])[0], self.mend
        return {"check": self.name, "well": False, "found": masked(found), "mend": masked(mend)}
