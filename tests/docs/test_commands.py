"""Every command that a page shows is one that its program takes. `test_answers` runs those of the ten questions."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import click
import pytest
import typer.main
from typer.core import TyperGroup

from harness.cli import app
from harness.settings import load
from tests.conftest import ROOT
from tests.docs.pages import Shown, commands

SHOWN = commands()
ELSEWHERE = {"cp", "docker", "curl", "ray", "jupyter", "pip"}
"""Programs that are not Lethe's: what is given to them is not looked at, but for a command of Lethe inside."""


def of_program(name: str) -> list[Shown]:
    return [shown for shown in SHOWN if shown.words and shown.words[0] == name]


def test_pages_show_commands_of_known_programs_alone() -> None:
    assert len(of_program("lethe")) > 30
    known = ELSEWHERE | {"lethe", "make", "python", "mlflow"}
    assert [str(shown) for shown in SHOWN if shown.words and shown.words[0] not in known] == []


def parsed(words: list[str]) -> dict[str, object]:
    """What the command line makes of the words after `lethe`, nothing run; it raises where it refuses."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    name, command, rest = group.resolve_command(typer.Context(group), words)
    assert command is not None, f"there is no command {name}"
    return command.make_context(name, rest).params


@pytest.mark.parametrize("shown", of_program("lethe"), ids=str)
def test_lethe_takes_it(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its options, its files, and the configuration with its changes."""
    monkeypatch.chdir(ROOT)
    params = parsed(shown.words[1:])
    config = params.get("config")
    if config is not None:
        given = load(str(config), list(params.get("set_") or ()), list(params.get("with_") or ()))  # type: ignore[call-overload]
        assert given.model.terms


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "configs/quickstart.yaml", "--fast"], "--fast"),
        (["runn", "configs/quickstart.yaml"], "runn"),
        (["run"], "config"),
        (["models", "x", "--diff", "1"], "--diff"),
    ],
)
def test_what_the_parser_would_find(words: list[str], message: str) -> None:
    """The test above can fail."""
    with pytest.raises(Exception, match=message) as caught:
        parsed(words)
    assert caught.type.__module__.endswith("click.exceptions")


@pytest.mark.parametrize("shown", of_program("make"), ids=str)
def test_make_has_the_rule(shown: Shown) -> None:
    assert re.search(rf"^{re.escape(shown.words[1])}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("shown", of_program("python"), ids=str)
def test_python_has_the_module_and_its_files(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert shown.words[1] == "-m"
    assert importlib.util.find_spec(shown.words[2]) is not None
    assert [word for word in shown.words[3:] if word.endswith(".yaml") and not Path(word).exists()] == []


@pytest.mark.parametrize("shown", of_program("mlflow"), ids=str)
def test_mlflow_takes_it(shown: Shown) -> None:
    from mlflow.cli import cli

    command: click.Command = cli
    words = shown.words[1:]
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    assert command.make_context(name, words)
