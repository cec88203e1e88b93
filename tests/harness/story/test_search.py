"""What is told of a search, from trials with invented figures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evaluators import interval
from harness.settings import EvaluateSettings
from harness.story.search import search_story
from trainers.model import ModelSettings
from trainers.search.outcome import Outcome, SearchResult
from trainers.search.space import Space

MODEL = ModelSettings.model_validate({"terms": [{"kind": "trend"}]})
USERS = np.arange(40) // 2


def test_how_sure_the_choice_is_has_the_interval_that_is_asked_for(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, len(USERS))) ** 3 + [[0.2], [0.0]]
    trials = []
    for number, each in enumerate(values):
        np.save(file := tmp_path / f"{number}.npy", each)
        trials.append(Outcome(number, {}, float(each.mean()), file=str(file)))
    how = EvaluateSettings(level=0.9, interval="robust")
    workshop: Any = SimpleNamespace(
        val=SimpleNamespace(users=USERS), settings=SimpleNamespace(evaluate=how, search=None)
    )
    fits: Any = None
    told = search_story(workshop, SearchResult(Space({}), MODEL, trials), None, fits)
    expected = interval(values[0] - values[1], USERS, 0.9, method="robust")
    sure = told["sure"]["runner_up"]
    assert (sure["difference"], sure["low"], sure["high"]) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
