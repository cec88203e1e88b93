"""What a score of a model is expected to mean: the share of what a user takes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluators.calibration import Correction, shares
from harness.serving.package import Package
from trainers.histories import Histories

NAME = "expects"
"""Under which a package holds it."""


@dataclass(frozen=True)
class Expects:
    """Found on validation; no order of any list depends on it.

    Attributes:
        temperature: of the softmax over all items that may be shown.
        slope, shift: of the correction of its shares, in log-odds.
    """

    temperature: float
    slope: float = 1.0
    shift: float = 0.0

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Expects | None:
        """What a package brings; None where its scores were never set beside shares."""
        told = about.get(NAME)
        return None if told is None else cls(**told)

    def to_dict(self) -> dict[str, float]:
        return asdict(self)

    def __call__(self, scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """[Q, I] the expected share of each item, from scores that are −inf for what may not be shown."""
        return Correction(self.slope, self.shift)(shares(scores, self.temperature))


def expected(package: Package, histories: Histories) -> npt.NDArray[np.float64] | None:
    """[Q, I] what a package expects of every item; None where it does not know."""
    expects = Expects.of(package.about)
    if expects is None:
        return None
    scores = np.asarray(package.model.score(histories), np.float64)
    if not package.about["repeats"]:
        scores[histories.query, histories.columns] = -np.inf
    return expects(scores)
