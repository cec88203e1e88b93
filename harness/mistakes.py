"""What is wrong with a configuration, told in one line as a person would write it there."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, RootModel, ValidationError


def one_line(error: ValidationError, root: type[BaseModel]) -> str:
    """The first thing wrong; for an unknown key, the nearest that exists there."""
    first = error.errors()[0]
    where, beside = _place(first["loc"], root)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), beside, n=1, cutoff=0.0)
        return f"there is no setting `{where}`; did you mean `{near[0]}`?"
    message = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    if first["type"] == "value_error" or "input" not in first or isinstance(first["input"], dict | list):
        return f"`{where}`: {message}" if where else message
    return f"`{where}`: {message}, but got {first['input']!r}."


def _place(loc: tuple[int | str, ...], root: type[BaseModel]) -> tuple[str, list[str]]:
    """A place in the configuration as a person writes it, and the names of the settings that stand there.

    pydantic puts the kind of a term into its path (`model.terms.0.own.weight`); nobody writes it there."""
    here: list[type[BaseModel]] = [root]
    steps: list[str] = []
    for number, part in enumerate(loc):
        inside = [found for model in here for found in _models(_annotation(model, part))]
        of_kind = [model for model in here if _default(model, "kind") == part]
        named = any(part in model.model_fields for model in here)
        if of_kind and (isinstance(loc[number - 1], int) or not named):
            here = of_kind
            continue
        steps.append(str(part))
        if number < len(loc) - 1:
            here = inside or here
    return ".".join(steps), sorted({name for model in here for name in model.model_fields})


def _annotation(model: type[BaseModel], field: int | str) -> Any:
    found = model.model_fields.get(str(field))
    return found.annotation if found else None


def _default(model: type[BaseModel], field: str) -> Any:
    found = model.model_fields.get(field)
    return found.default if found else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of this type may hold, through lists, mappings and alternatives."""
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _models(annotation.model_fields["root"].annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models(inner)]
