"""No secret that Lethe is told reaches MLflow, a message or the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.data import DataError, DataSettings, prepare
from harness.doctor.check import Check, Unwell
from harness.errors import ConfigurationError
from harness.masking import masked
from harness.progress import bar, say
from harness.registry.registry import Registry
from tests.harness.conftest import KEY, LOGIN, SECRETS, Command, Whispered

SECRET = KEY
URIS = [
    f"postgresql+psycopg2://{LOGIN}@db:5432/mlflow",
    f"https://{LOGIN}@mlflow.example.org",
    f"s3://AKIA77:{SECRET}/K7MDENG@bucket/events.parquet?region=eu",
    f"s3://bucket/events.parquet?access_key=AKIA77&secret_key={SECRET}",
    f"https://store.example.org/e.csv?X-Amz-Credential=AKIA77&X-Amz-Signature={SECRET}&x=1",
    f"abfs://bucket/e.csv?sig={SECRET}",
]


@pytest.mark.parametrize("uri", URIS)
@pytest.mark.parametrize("around", ["{}", "events: {}\nitems: null", "`{}` is not there", "['{}', 'b.csv']"])
def test_a_uri_is_told_without_its_secrets(uri: str, around: str) -> None:
    told = masked(around.format(uri))
    for secret in (LOGIN, "pa55w0rd", SECRET, "AKIA77", "K7MDENG"):
        assert secret not in told
    before, after = around.split("{}") if around != "{}" else ("", "")
    assert told.startswith(before + uri.split("://")[0])
    assert told.endswith(after)
    assert masked(told) == told


@pytest.mark.parametrize(
    "plain",
    [
        "sqlite:////tmp/mlflow.db",
        "s3://bucket/a.csv?region=eu",
        "models:/shop@champion",
        "ann@example.org",
        "17:30",
    ],
)
def test_what_holds_no_secret_stays(plain: str) -> None:
    assert masked(plain) == plain


def test_messages_and_progress(capfd: pytest.CaptureFixture[str]) -> None:
    say(f"data: {URIS[0]}")
    with bar("prepare") as line:
        line.update(note=f"Reading `{URIS[3]}`.")
    err = capfd.readouterr().err
    assert "postgresql+psycopg2://***@db:5432/mlflow" in err
    assert SECRET not in err
    assert "pa55w0rd" not in err


def test_what_the_doctor_finds() -> None:
    def look(settings: object) -> str:
        raise Unwell(f"no tables in {URIS[0]}", f"then: mlflow db upgrade {URIS[0]}")

    for check in (Check("mlflow", look, ""), Check("mlflow", lambda settings: URIS[1], "")):
        found = check.made(None)  # type: ignore[arg-type]
        assert "***@" in found["found"]
        assert "pa55w0rd" not in str(found)


def test_errors_of_data_and_of_the_command_line(work: Path, lethe: Command) -> None:
    settings = DataSettings(
        events=f"file:///nowhere/events.csv?secret_key={SECRET}", store=str(work / "store")
    )
    with pytest.raises(DataError, match=r"`file:///nowhere/events\.csv\?secret_key=\*\*\*` does not"):
        prepare(settings, lambda message: None)
    events = f"['s3://AK:{SECRET}@bucket/a.csv', '']"
    (work / "c.yaml").write_text(f"data: {{events: {events}}}\nmodel: {{terms: [{{kind: own}}]}}\n")
    said = lethe("prepare", "c.yaml")
    assert said.code == 2
    assert "s3://***@bucket/a.csv" in said.last
    assert SECRET not in said.err


def test_a_version_that_is_not_found(work: Path) -> None:
    registry = Registry("shop")
    registry.uri = URIS[0]
    with pytest.raises(ConfigurationError, match=r"has none at postgresql\+psycopg2://\*\*\*@db"):
        registry.find("1")


def test_whole_runs_tell_no_secret(whispered: Whispered) -> None:
    """Looked for in every file but the configurations themselves, in the database, and in what is printed."""
    files = [
        file for file in whispered.folder.rglob("*") if file.is_file() and file.parent != whispered.folder
    ]
    files.append(whispered.folder / "mlflow.db")
    assert {"report.html", "story.json", "MLmodel", "configuration.yaml"} <= {file.name for file in files}
    assert "verdict:" in whispered.printed
    for secret in (KEY, LOGIN, "pa55w0rd", *SECRETS.values()):
        assert secret not in whispered.printed
        assert secret not in json.dumps(whispered.results)
        assert [file for file in files if secret.encode() in file.read_bytes()] == []
    for name, told in (
        ("report.html", "postgresql://***@db/mlflow"),
        ("configuration.yaml", "secret_key=***"),
    ):
        assert all(told in file.read_text() for file in files if file.name == name)
