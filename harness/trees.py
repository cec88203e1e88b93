"""Configuration files as plain trees: read, laid one over the other, changed by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigurationError

Tree = dict[str, Any]


def read(path: Path) -> Tree:
    """The mapping that a YAML file holds; ConfigurationError where it holds none."""
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigurationError(f"A configuration must be a file, but there is none at `{path}`.") from None
    except IsADirectoryError:
        raise ConfigurationError(f"A configuration must be a file, but `{path}` is a folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = str(error).replace("\n", " ")
        raise ConfigurationError(f"A configuration must be YAML, but `{path}` is not: {where}") from None
    if not isinstance(tree, dict):
        raise ConfigurationError(
            f"A configuration must be a mapping, but `{path}` holds {type(tree).__name__}."
        )
    return tree


def lay_over(below: Tree, above: Tree) -> Tree:
    """Both trees as one: mappings are joined, anything else of `above` takes the place of what stands below it.

    >>> lay_over({"train": {"workers": 2, "gpu": True}}, {"train": {"workers": 8}, "work": "/mnt"})
    {'train': {'workers': 8, 'gpu': True}, 'work': '/mnt'}
    """
    joined = dict(below)
    for key, value in above.items():
        under = joined.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        joined[key] = lay_over(under, value) if both else value  # type: ignore[arg-type]  # a mapping, as `both` says
    return joined


def source(loc: Sequence[int | str], files: Sequence[tuple[Path, Tree]]) -> Path:
    """The file that a setting stands in: the last one that says anything about it, the first one if none does."""
    for path, tree in reversed(files[1:]):
        if loc and _says(tree, loc):
            return path
    return files[0][0]


def _says(tree: Any, loc: Sequence[int | str]) -> bool:
    for step in loc:
        if not isinstance(tree, dict):
            return True  # a value that was laid over whole
        if step not in tree:
            return False
        tree = tree[step]
    return True


def change(tree: Tree, text: str) -> None:
    """Apply `model.terms.0.weight=2`, in place; a number steps into a list."""
    name, equals, value_text = text.partition("=")
    if not equals or not name:
        raise ConfigurationError(f"`--set` takes NAME=VALUE, as in split.protocol=loo, but got {text!r}.")
    try:
        value = yaml.safe_load(value_text)
    except yaml.YAMLError:
        raise ConfigurationError(f"`--set {text}`: the value must be YAML, but got {value_text!r}.") from None
    *steps, last = name.split(".")
    node: Any = tree
    for step in steps:
        if isinstance(node, list) and step.isdecimal() and int(step) < len(node):
            node = node[int(step)]
        elif isinstance(node, dict):
            node = node.setdefault(step, {})
        else:
            raise ConfigurationError(f"`--set {text}`: there is no `{step}` to step into.")
    if isinstance(node, list) and last.isdecimal() and int(last) < len(node):
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigurationError(f"`--set {text}`: there is no `{last}` to set.")
