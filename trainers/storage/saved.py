"""The files of a saved model: read without running anything of them, and refused in one line where they are damaged.

Tensors are safetensors and everything else is JSON, so nothing that is read can be a program. A file of another kind
(a pickle), or one that lies elsewhere (a link), is refused before any is read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

Array = npt.NDArray[np.generic]
ENDINGS = (".json", ".safetensors")
Shape = tuple[int | None, ...]
"""Of an array; None is any length."""


def plain(folder: Path) -> None:
    """ValueError where a folder is anything but plain JSON and safetensors files, which is seen before one is read."""
    for entry in (folder, *sorted(folder.iterdir())):
        if entry.is_symlink() or (entry != folder and not entry.is_file()):
            raise ValueError(
                f"a saved model must be a folder of plain files, but {entry} is a link or a folder; it was not read."
            )
        if entry != folder and entry.suffix not in ENDINGS:
            raise ValueError(
                f"a saved model must hold {' and '.join(ENDINGS)} files alone, but {entry} is there; it was not read."
            )


def parsed(file: Path) -> Any:
    """The content of a JSON file; ValueError where it is missing or cut off."""
    try:
        return json.loads(file.read_text())
    except (ValueError, FileNotFoundError) as error:  # a decoding error is a ValueError too
        raise ValueError(f"{file} must be JSON, but is not ({error}); write the model anew.") from None


def tensors(file: Path) -> dict[str, Array]:
    """The named arrays of a safetensors file; ValueError where it is something else, or cut off."""
    try:
        found: dict[str, Array] = load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} must be safetensors, but is not ({error}); write the model anew.") from None
    return found


def shaped(what: str, state: Mapping[str, Array], shapes: Mapping[str, Shape]) -> None:
    """ValueError where the arrays are not those of these names and shapes.

    >>> shaped("`trend`", {"popularity": np.zeros(3)}, {"popularity": (3,)})
    >>> shaped("`trend`", {"popularity": np.zeros(2)}, {"popularity": (3,)})
    Traceback (most recent call last):
    ...
    ValueError: `trend` must have the tensors (popularity [3]), but has (popularity [2]); write the model anew.
    """
    found: dict[str, Shape] = {name: array.shape for name, array in state.items()}
    wrong = [
        name
        for name in shapes.keys() | found.keys()
        if name not in found or name not in shapes or not _fits(found[name], shapes[name])
    ]
    if wrong:
        raise ValueError(
            f"{what} must have the tensors ({_listed(shapes, wrong)}), but has ({_listed(found, wrong)}); "
            "write the model anew."
        )


def _fits(shape: Shape, wanted: Shape) -> bool:
    """A number alone is written as an array of one."""
    if not wanted:
        return shape in ((), (1,))
    return len(shape) == len(wanted) and all(m in (None, n) for n, m in zip(shape, wanted, strict=True))


def _listed(shapes: Mapping[str, Shape], names: Collection[str]) -> str:
    return ", ".join(
        f"{name} [{', '.join('any' if n is None else str(n) for n in shapes[name])}]"
        for name in sorted(names)
        if name in shapes
    )
