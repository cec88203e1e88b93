"""`lethe doctor`: is everything here that a configuration needs, and what is to be done where it is not?"""

from __future__ import annotations

from typing import Any

from harness.doctor.check import Check, Unwell
from harness.doctor.log import LOG
from harness.doctor.machine import MACHINE, packages
from harness.doctor.services import SERVICES
from harness.settings import RunSettings

__all__ = ["Check", "Unwell", "examine"]


def examine(settings: RunSettings) -> dict[str, Any]:
    """Each check with what was found and, where that is not well, what to do about it (`mend`)."""
    entries = [check.made(settings) for check in (*MACHINE, *packages(), *LOG, *SERVICES)]
    return {"well": all(entry["well"] for entry in entries), "checks": entries}
