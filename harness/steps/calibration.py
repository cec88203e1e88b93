"""Whether the scores of the chosen model mean what they say: mended on validation, looked at on test."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from evaluators import Csr
from evaluators.calibration import Correction, correction, error, reliability, shares, temperature
from harness.progress import bar
from harness.report.words import number, share
from harness.serving.expected import NAME, Expects
from harness.stage import Stage
from harness.steps.choosing import Chosen
from harness.steps.workshop import Workshop
from trainers.histories import Histories
from trainers.model import Model

CELLS = 4_000_000  # scores that are looked at: of so many queries, evenly from all of them
BLOCK = 256


def calibration(workshop: Workshop, chosen: Chosen, model: Model) -> dict[str, Any]:
    """What the model expects of the items that it shows, beside what became of them.

    A softmax of its scores at the temperature that fits the validation queries best gives every item a share of what
    the user takes next. One number cannot bend what is shaped otherwise, so the shares of the shown items are then
    corrected in log-odds by what validation found. Both keep every order. Of the items of each test list, the share is
    set beside the share that they were. All is found with the model as validation knew it, so that test is read once,
    and only to be looked at.

    Returns:
        `expects` (as a package holds it), `k`, `queries`, `bins` [{`predicted`, `observed`, `low`, `high`, `count`}]
        and `error` of the corrected shares, `before` {`bins`, `error`} of the softmax alone, `sentence`; or `sentence`
        alone, where the scores say nothing.
    """
    k = max(workshop.settings.evaluate.k)
    tuned = chosen.finetuned
    kept = workshop.tuned(chosen.fits, chosen.model) if tuned and tuned.kept else None
    earlier = workshop.fitting.assemble(workshop.val, chosen.model, chosen.fits, kept)
    with bar("calibration"):
        try:
            expects = _found(workshop.val, earlier, k)
        except ValueError as reason:
            return {"sentence": f"The scores were not set beside shares: {reason}"}
        scores, relevant, users = _asked(workshop.test, model)
        how = workshop.settings.evaluate.how
        raw, observed, owner = _shown(shares(scores, expects.temperature), relevant, k)
        predicted = Correction(expects.slope, expects.shift)(raw)
        before, bins = (reliability(each, observed, users[owner], how=how) for each in (raw, predicted))
    return {
        NAME: expects.to_dict(),
        "k": k,
        "queries": len(users),
        "bins": [each.to_dict() for each in bins],
        "error": error(bins),
        "before": {"bins": [each.to_dict() for each in before], "error": error(before)},
        "sentence": _sentence(predicted, observed, error(bins), error(before)),
    }


def _found(stage: Stage, model: Model, k: int) -> Expects:
    """What validation says that the scores of a model mean; ValueError where they say nothing."""
    scores, relevant, _ = _asked(stage, model)
    at = temperature(scores, relevant)
    mended = correction(*_shown(shares(scores, at), relevant, k)[:2])
    return Expects(at, mended.slope, mended.shift)


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


def _sentence(
    predicted: npt.NDArray[np.float64], observed: npt.NDArray[np.float64], apart: float, before: float
) -> str:
    expected, found = share(float(predicted.mean())), share(float(observed.mean()))
    return (
        f"Of what a user takes next the model expects {expected} to be any one item of its list, and {found} was; in "
        f"groups of like items the two are {number(100 * apart, 1)} percentage points apart on average, and "
        f"{number(100 * before, 1)} before what validation said was heeded."
    )
