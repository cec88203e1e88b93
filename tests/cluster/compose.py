"""docker-compose.yml as compose reads it: merged, with the environment filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tests.conftest import ROOT

FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def text() -> str:
    return FILE.read_text()


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file under an environment; KeyError, with the file's own words, where a variable must be set and is not."""

    def fill(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        value = environment.get(name, "")
        if value or kind is None:
            return value
        if kind == ":?":
            raise KeyError(rest)
        return str(rest)

    tree: dict[str, Any] = strings(yaml.safe_load(text()), lambda value: VARIABLE.sub(fill, value))
    return tree


def strings(node: Any, change: Callable[[str], str]) -> Any:
    """The same tree with every string of it changed."""
    if isinstance(node, dict):
        return {key: strings(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [strings(value, change) for value in node]
    return change(node) if isinstance(node, str) else node


def environment_file() -> dict[str, str]:
    """.env.example."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def submit() -> list[str]:
    """The command that the file's first lines tell a person to submit a run with, inside the head."""
    (found,) = re.findall(r"docker compose exec head (ray job submit .*)", text())
    return str(found).split()
