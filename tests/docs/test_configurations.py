"""Every configuration that a page shows is one that the settings take."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from harness import trees
from harness.settings import RunSettings
from tests.conftest import ROOT
from tests.docs.pages import Shown, configurations

OTHERS = {"services"}
"""First keys of files that are not Lethe's."""


def whole(text: str) -> dict[str, Any]:
    """What a page shows, laid over a configuration; a list is one of terms."""
    shown = yaml.safe_load(text)
    if isinstance(shown, list):
        shown = {"model": {"terms": shown}}
    shown.setdefault("data", {}).setdefault("items", "items.csv")
    base = trees.read(ROOT / "configs/online-retail.yaml")
    base.pop("search", None)
    return trees.lay_over(base, shown)


@pytest.mark.parametrize("shown", configurations(), ids=str)
def test_the_settings_take_it(shown: Shown) -> None:
    if OTHERS & set(map(str, yaml.safe_load(shown.text))):
        pytest.skip("a file of another program")
    assert RunSettings.model_validate(whole(shown.text)).model.terms


def test_what_they_would_not_take() -> None:
    """The test above can fail."""
    with pytest.raises(ValidationError, match=r"registry\.gate\.margn"):
        RunSettings.model_validate(whole("registry: {name: shop, gate: {margn: 1}}"))
