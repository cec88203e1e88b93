from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.data import DataSettings


def test_relative_paths_are_those_of_the_configuration() -> None:
    settings = DataSettings(events=["a.csv", "/b.csv", "s3://c/d.csv"], items="../items.csv").resolve(
        Path("/conf")
    )
    assert settings.events == ["/conf/a.csv", "/b.csv", "s3://c/d.csv"]
    assert settings.items == "/conf/../items.csv"
    assert settings.store == ".lethe/store"
    assert DataSettings(events="x/*.csv").resolve(Path("/conf")).events == "/conf/x/*.csv"


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": []},
        {"events": ""},
        {"events": "a", "max_rejected": 1.5},
        {"events": "a", "time_unit": "minutes"},
        {"events": "a", "evnts": "b"},
        {"events": "a", "columns": {"users": "u"}},
        {"events": "a", "store": ""},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DataSettings.model_validate(wrong)
