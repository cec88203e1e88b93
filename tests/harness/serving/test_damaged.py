"""A package that was tampered with or damaged is refused in one line, and nothing in it runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from harness.registry.registry import Registry
from harness.serving import pyfunc
from harness.serving.package import ARTIFACT, Package
from tests.harness.conftest import Command
from trainers.encoders import ENCODERS
from trainers.model import Model, ModelSettings

Damage = Callable[[Path], Any]


class Planted:
    """Whoever unpickles it makes the folder `ran`."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.where / "ran"),)


def a_pickle(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes(pickle.dumps(Planted(folder.parent)))


def tensor(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Damage:
    def damage(folder: Path) -> None:
        save_file(change(load_file(folder / name)), folder / name)

    return damage


def text(name: str, change: Callable[[Any], Any]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_text(json.dumps(change(json.loads((folder / name).read_text()))))

    return damage


def cut(name: str) -> Damage:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def moved_out(name: str) -> Damage:
    """The file lies beside the package, and a link stands in its place."""

    def damage(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return damage


def term(number: int, **change: Any) -> Damage:
    def changed(model: dict[str, Any]) -> dict[str, Any]:
        model["terms"][number] |= change
        return model

    return text("model.json", changed)


def outside(events: dict[str, Any]) -> dict[str, Any]:
    events["items"][0] = 10_000
    return events


DAMAGE: dict[str, tuple[Damage, str]] = {
    "a pickle beside": (a_pickle("model.pkl"), "alone, but .*model.pkl is there"),
    "a pickle as tensors": (a_pickle("linear.safetensors"), "linear.safetensors must be safetensors"),
    "a pickle as names": (a_pickle("items.json"), "items.json must be JSON"),
    "a pickle as a model": (a_pickle("model.json"), "model.json must be JSON"),
    "a link out": (moved_out("linear.safetensors"), "linear.safetensors is a link or a folder"),
    "a link out of JSON": (moved_out("about.json"), "about.json is a link or a folder"),
    "a path out": (term(1, name="../linear"), "`terms.1.linear.name` does not: .*pattern"),
    "a kind that is none": (term(1, kind="os.system"), "`terms.1` does not: .*os.system"),
    "a matrix too small": (
        tensor("linear.safetensors", lambda t: {"matrix": t["matrix"][:, 1:].copy()}),
        r"`linear` must have the tensors \(matrix \[40, 40\]\), but has \(matrix \[40, 39\]\)",
    ),
    "a matrix of another name": (
        tensor("linear.safetensors", lambda t: {"matrxi": t["matrix"]}),
        r"`linear` must have the tensors \(matrix \[40, 40\]\), but has \(matrxi \[40, 40\]\)",
    ),
    "a vector too long": (
        tensor("trend.safetensors", lambda t: {"popularity": np.append(t["popularity"], 1.0)}),
        r"`trend` must have the tensors \(popularity \[40\]\), but has \(popularity \[41\]\)",
    ),
    "no tensors": (lambda folder: (folder / "trend.safetensors").unlink(), r"`trend` must .* but has \(\)"),
    "tensors cut off": (cut("linear.safetensors"), "linear.safetensors must be safetensors"),
    "events cut off": (cut("users.events.safetensors"), "users.events.safetensors must be safetensors"),
    "names cut off": (cut("items.json"), "items.json must be JSON"),
    "users cut off": (cut("users.json"), "users.json must be JSON"),
    "a name too few": (
        text("items.json", lambda names: names | {"ids": names["ids"][1:]}),
        "must have `ids` for the 40 items of the model, but has 39",
    ),
    "a user too many": (text("users.json", lambda ids: [*ids, "u-new"]), r"offsets \[62\]\), but has"),
    "events of other items": (tensor("users.events.safetensors", outside), "lead outside"),
}  # fmt: skip


@pytest.fixture
def saved(package: Package, tmp_path: Path) -> Path:
    package.save(tmp_path / "package")
    return tmp_path / "package"


@pytest.mark.parametrize("which", DAMAGE)
def test_it_is_refused_in_a_line_and_nothing_runs(saved: Path, which: str) -> None:
    damage, message = DAMAGE[which]
    damage(saved)
    with pytest.raises(ValueError, match=message) as caught:
        Package.load(saved)
    assert "\n" not in str(caught.value)
    assert not (saved.parent / "ran").exists()


def test_the_trap_works(tmp_path: Path) -> None:
    """What the others find unharmed would have been sprung by whoever unpickles."""
    pickle.loads(pickle.dumps(Planted(tmp_path)))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", sorted(ENCODERS))
def test_every_kind_of_term_refuses_tensors_of_another_catalogue(kind: str, tmp_path: Path) -> None:
    """`own` has none: what there is too many is refused."""
    learned = {"family": "exponential", "half_life": 5.0, "learn": kind == "own"}
    settings = ModelSettings.model_validate({"terms": [{"kind": kind, "forgetting": learned}]})
    encoder = ENCODERS[kind](settings.terms[0], 7)
    shapes = getattr(encoder, "shapes", dict)() or {name: a.shape for name, a in encoder.state().items()}
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    assert state
    (tmp_path / "model.json").write_text(
        json.dumps({"format": 1, "items": 7, **settings.model_dump(mode="json")})
    )
    for name in state:
        wrong = {**state, name: np.zeros((*state[name].shape, 2), np.float32)}
        save_file(wrong, tmp_path / f"{kind}.safetensors")
        with pytest.raises(ValueError, match=f"the term `{kind}` must have the tensors") as caught:
            Model.load(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_registered_version_is_refused_on_the_command_line(
    config: Path, package: Package, lethe: Command, work: Path
) -> None:
    registry = Registry("closed")
    with registry.run("only", "only") as run_id:
        registry.register(run_id, "only", package, {})
    (about,) = work.rglob("about.json")
    a_pickle("model.pkl")(about.parent)
    said = lethe("recommend", "closed.yaml", "--user", "u1", "--model", "1")
    assert (said.code, said.out) == (2, "")
    assert "version 1 of `closed` cannot be opened: a saved model must hold" in said.last
    assert not list(work.rglob("ran"))


def served(saved: Path, model: Path) -> None:
    """Wrap a saved package as MLflow serves it."""
    mlflow.pyfunc.save_model(
        model,
        python_model=str(Path(pyfunc.__file__).with_name("pyfunc_model.py")),
        artifacts={ARTIFACT: str(saved)},
        signature=pyfunc.SIGNATURE,
        pip_requirements=["lethe"],
    )


@pytest.mark.parametrize("which", ["a pickle beside", "a link out", "tensors cut off"])
def test_mlflow_does_not_serve_it(saved: Path, which: str, tmp_path: Path) -> None:
    served(saved, tmp_path / "model")
    damage, message = DAMAGE[which]
    damage(tmp_path / "model" / "artifacts" / ARTIFACT)
    with pytest.raises(ValueError, match=message):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert not list(tmp_path.rglob("ran"))


def test_a_path_that_leads_out_of_the_served_model(saved: Path, tmp_path: Path) -> None:
    """As an `MLmodel` that was tampered with would have it."""
    served(saved, tmp_path / "model")
    description = tmp_path / "model" / "MLmodel"
    content = description.read_text()
    assert f"path: artifacts/{ARTIFACT}" in content
    description.write_text(content.replace(f"path: artifacts/{ARTIFACT}", f"path: ../{saved.name}"))
    shutil.rmtree(tmp_path / "model" / "artifacts")
    with pytest.raises(ValueError, match=r"must lie in its folder, but .* leads out of it"):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))
