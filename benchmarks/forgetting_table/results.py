"""What is published of a table: a JSON file for each data set, kept with the code, to which every run adds."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import evaluators
from benchmarks.forgetting_table.plan import NONE, Cell, curve_name
from trainers.storage.files import whole

FOLDER = Path(__file__).parent.parent / "results"
PACKAGES = ("torch", "ray", "numpy", "scipy", "optuna")

Values = npt.NDArray[np.float64]
Measured = dict[Cell, tuple[dict[str, Any], Values]]
Curve = tuple[str, str]


def made(command: str) -> dict[str, str]:
    """When, with what and where a part of the table was measured."""
    return {
        "command": command,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} CPUs ({platform.machine()}), Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


class Results:
    """The figures of one data set.

    Attributes:
        curves: {"chosen", "pays", "standings", "made"} of the curves by likelihood, empty where they are missing.
        terms: by label, {"chosen", "figure", "over_none", "over_trend", "curves", "made"}.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found = json.loads(path.read_text()) if path.exists() else {}
        self.curves: dict[str, Any] = found.get("curves", {})
        self.terms: dict[str, dict[str, Any]] = found.get("terms", {})

    @classmethod
    def of(cls, plan: str, name: str) -> Results:
        """Those of a plan (`forgetting-table`) and a data set."""
        return cls(FOLDER / f"{plan}-{name}.json")

    def judged(self, curves: dict[str, Any], command: str) -> None:
        """Take in the curves by likelihood, unless they are these already."""
        if {key: value for key, value in self.curves.items() if key != "made"} != curves:
            self.curves = {**curves, "made": made(command)}

    def take(self, done: Measured, users: Values, command: str) -> None:
        """Take in the terms of which as many curves are measured as are known, the control among them; the others stay
        as they were."""
        means, validation = _by_curve(done)
        trend = validation.get("trend", {})
        control = means["trend"][max(trend, key=lambda curve: trend[curve])] if trend else None
        for term, of_term in means.items():
            if (NONE, "time") in of_term:
                found = _summary(of_term, validation[term], control, users)
                known = self.terms.get(term, {})
                more = found["curves"].keys() >= known.get("curves", {}).keys()
                if more and {key: known.get(key) for key in found} != found:
                    self.terms[term] = {**found, "made": made(command)}

    def save(self) -> None:
        """Whole or not at all."""
        if not self.curves and not self.terms:
            return
        self.path.parent.mkdir(exist_ok=True)
        with whole(self.path) as partial:
            partial.write_text(json.dumps({"curves": self.curves, "terms": self.terms}, indent=1) + "\n")


def _by_curve(done: Measured) -> tuple[dict[str, dict[Curve, Values]], dict[str, dict[Curve, float]]]:
    """By term and curve, every query's figure and the figure on validation, means over seeds."""
    means: dict[str, dict[Curve, list[Values]]] = {}
    validation: dict[str, dict[Curve, list[float]]] = {}
    for cell, (about, values) in done.items():
        curve = cell.family, cell.clock
        means.setdefault(cell.term, {}).setdefault(curve, []).append(values)
        validation.setdefault(cell.term, {}).setdefault(curve, []).append(about["validation"])
    return (
        {term: {curve: np.mean(each, 0) for curve, each in found.items()} for term, found in means.items()},
        {
            term: {curve: float(np.mean(each)) for curve, each in found.items()}
            for term, found in validation.items()
        },
    )


def _summary(
    means: dict[Curve, Values], validation: dict[Curve, float], control: Values | None, users: Values
) -> dict[str, Any]:
    chosen = max(validation, key=lambda curve: validation[curve])
    none = means[NONE, "time"]

    def over(values: Values, other: Values) -> list[float]:
        found = evaluators.paired(values, other, users)
        return [found.difference, found.low, found.high]

    curves = {
        curve_name(*curve): {
            "validation": validation[curve],
            "test": float(values.mean()),
            "over_none": over(values, none),
        }
        for curve, values in means.items()
    }
    return {
        "chosen": curve_name(*chosen),
        "figure": over(means[chosen], np.zeros(len(users))),
        "over_none": curves[curve_name(*chosen)]["over_none"],
        "over_trend": None if control is None else over(means[chosen], control),
        "curves": curves,
    }
