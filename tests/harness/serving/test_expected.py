"""What a package expects of its items: shares that it brings along, in the order of its scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluators.calibration import shares
from harness.serving.expected import Expects, expected
from harness.serving.package import Package


def knowing(package: Package, expects: Expects, *, repeats: bool = True) -> Package:
    return replace(package, about={**package.about, "repeats": repeats, "expects": expects.to_dict()})


def test_shares_are_of_the_softmax_and_the_correction(package: Package, tmp_path: Path) -> None:
    histories = package.histories_of(["u1"], [1_603_000_000])
    scores = package.model.score(histories)
    told = knowing(package, Expects(2.0))
    told.save(tmp_path)
    plain = expected(Package.load(tmp_path), histories)
    assert plain is not None
    assert plain == pytest.approx(shares(scores, 2.0), abs=1e-9)
    assert plain.sum() == pytest.approx(1.0)
    bent = expected(knowing(package, Expects(2.0, 0.5, 0.25)), histories)
    assert bent is not None
    odds = 0.5 * np.log(plain / (1 - plain)) + 0.25
    assert bent == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-9)
    assert np.argsort(bent[0], kind="stable").tolist() == np.argsort(plain[0], kind="stable").tolist()


def test_what_is_not_shown_again_is_expected_never(package: Package) -> None:
    histories = package.histories_of(["u1"], [1_603_000_000])
    found = expected(knowing(package, Expects(1.0), repeats=False), histories)
    assert found is not None
    assert found[histories.query, histories.columns] == pytest.approx(0.0, abs=1e-9)
    assert len(histories.columns) > 0


def test_a_version_that_does_not_know_says_nothing(package: Package) -> None:
    assert expected(package, package.histories_of(["u1"], [1_603_000_000])) is None
