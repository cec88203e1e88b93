"""Files of a saved model: what is no JSON and no safetensors, or not whole, is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from trainers.storage.saved import Shape, parsed, plain, shaped, tensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    save_file({"matrix": np.eye(3, dtype=np.float32)}, made / "linear.safetensors")
    (made / "model.json").write_text('{"format": 1}')
    return made


def test_what_is_whole_is_read(folder: Path) -> None:
    plain(folder)
    assert parsed(folder / "model.json") == {"format": 1}
    assert np.array_equal(tensors(folder / "linear.safetensors")["matrix"], np.eye(3))


@pytest.mark.parametrize("kept", [0, 4, 8, 40, 75])
def test_a_file_that_was_cut_off(folder: Path, kept: int) -> None:
    for name, read in (("linear.safetensors", tensors), ("model.json", parsed)):
        file = folder / name
        file.write_bytes(file.read_bytes()[: kept if read is tensors else kept // 8])
        with pytest.raises(
            ValueError, match=rf"{name} must be \w+, but is not \(.*write the model anew"
        ) as caught:
            read(file)
        assert "\n" not in str(caught.value)


def test_a_link_a_folder_and_another_kind_of_file(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (folder / "about.json").symlink_to(outside)
    with pytest.raises(ValueError, match=r"plain files, but .*about\.json is a link or a folder"):
        plain(folder)
    (folder / "about.json").unlink()
    (folder / "deeper.json").mkdir()
    with pytest.raises(ValueError, match=r"deeper\.json is a link or a folder"):
        plain(folder)
    (folder / "deeper.json").rmdir()
    (folder / "model.pkl").write_bytes(b"\x80")
    with pytest.raises(ValueError, match=r"\.json and \.safetensors files alone, but .*model\.pkl is there"):
        plain(folder)
    (folder / "model.pkl").unlink()
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(ValueError, match=r"link is a link or a folder"):
        plain(link)
    plain(folder)


def test_shapes_may_leave_a_length_open() -> None:
    state = {"stretch": np.ones(7), "matrix": np.ones((2, 2))}
    shaped("it", state, {"stretch": (None,), "matrix": (2, 2)})
    shaped("it", {"gain": np.ones(1)}, {"gain": ()})
    others: list[dict[str, Shape]] = [
        {"stretch": (None, None)},
        {"stretch": (6,)},
        {},
        {"stretch": (None,), "more": (1,)},
    ]
    for wrong in others:
        with pytest.raises(
            ValueError, match=r"it must have the tensors \(.*\), but has \((stretch \[7\])?\)"
        ):
            shaped("it", state, {"matrix": (2, 2), **wrong})
