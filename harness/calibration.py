"""Whether the scores of the chosen model mean what they say: one temperature from validation, looked at on test."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from evaluators import Csr
from evaluators.calibration import error, reliability, shares, temperature
from harness.choosing import Chosen
from harness.progress import bar
from harness.report.words import number, share
from harness.stage import Stage
from harness.workshop import Workshop
from trainers.histories import Histories
from trainers.model import Model

CELLS = 4_000_000  # scores that are looked at: of so many queries, evenly from all of them
BLOCK = 256


def calibration(workshop: Workshop, chosen: Chosen, model: Model) -> dict[str, Any]:
    """What the model expects of the items that it shows, beside what became of them.

    A softmax of its scores at the temperature that fits the validation queries best gives every item a share of what
    the user takes next; of the items of each list, that is set beside the share that they were. The temperature is
    found with the model as validation knew it, so that test is read once, and only to be looked at.

    Returns:
        `temperature`, `k`, `queries`, `bins` [{`predicted`, `observed`, `low`, `high`, `count`}], `error`, `sentence`;
        or `sentence` alone, where the scores say nothing.
    """
    k = max(workshop.settings.evaluate.k)
    tuned = chosen.finetuned
    kept = workshop.tuned(chosen.fits, chosen.model) if tuned and tuned.kept else None
    earlier = workshop.fitting.assemble(workshop.val, chosen.model, chosen.fits, kept)
    with bar("calibration"):
        try:
            found = temperature(*_asked(workshop.val, earlier)[:2])
        except ValueError as reason:
            return {"sentence": f"The scores were not set beside shares: {reason}"}
        scores, relevant, users = _asked(workshop.test, model)
        predicted, observed, owner = _shown(shares(scores, found), relevant, k)
        bins = reliability(predicted, observed, users[owner], how=workshop.settings.evaluate.how)
    told = {
        "temperature": found,
        "k": k,
        "queries": len(users),
        "bins": [each.to_dict() for each in bins],
        "error": error(bins),
    }
    return told | {"sentence": _sentence(predicted, observed, error(bins))}


def _asked(stage: Stage, model: Model) -> tuple[npt.NDArray[np.float64], Csr, npt.NDArray[np.integer]]:
    """Scores [Q, I] of some of a stage's queries, −inf for what is not shown again; what was right; whose they are."""
    items = len(stage.split.catalogue)
    every = len(stage.queries)
    picked = np.unique(np.linspace(0, every - 1, min(every, max(1, CELLS // items))).astype(np.int64))
    queries = stage.queries.take(picked)
    histories = Histories.of(stage.log, queries, stage.split.column, items)
    parts = [histories.take(slice(start, start + BLOCK)) for start in range(0, len(picked), BLOCK)]
    scores = np.concatenate([model.score(part) for part in parts])
    if not stage.repeats:
        scores[histories.query, histories.columns] = -np.inf
    return scores, Csr(queries.target_offsets, queries.targets), stage.users[picked]


def _shown(expected: npt.NDArray[np.float64], relevant: Csr, k: int) -> tuple[Any, ...]:
    """Of the k items of each list: the expected share, the share that they were, and which query it is."""
    columns = np.argsort(-expected, axis=1, kind="stable")[:, :k]
    true = np.zeros_like(expected)
    true[relevant.owners(), relevant.columns] = (
        1 / np.maximum(np.diff(relevant.offsets), 1)[relevant.owners()]
    )
    owner = np.repeat(np.arange(len(expected)), columns.shape[1])
    found = (np.take_along_axis(each, columns, 1).ravel() for each in (expected, true))
    return *found, owner


def _sentence(predicted: npt.NDArray[np.float64], observed: npt.NDArray[np.float64], apart: float) -> str:
    expected, found = share(float(predicted.mean())), share(float(observed.mean()))
    return (
        f"Of what a user takes next the model expects {expected} to be any one item of its list, and {found} was; in "
        f"groups of like items the two are {number(100 * apart, 1)} percentage points apart on average."
    )
