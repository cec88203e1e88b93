"""`--with FILE`: cluster shapes and other small files laid over a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.settings import RunSettings, load
from harness.trees import lay_over, source
from tests.conftest import ROOT
from tests.harness.conftest import CLOSED, Command

SHAPES = sorted(path for path in (ROOT / "configs/cluster").glob("*.yaml") if "kuberay" not in path.name)
RUNS = [ROOT / "configs" / name for name in ("quickstart.yaml", "online-retail.yaml", "movielens-100k.yaml")]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "closed.yaml"
    path.parent.mkdir()
    path.write_text(CLOSED + "train: {workers: 2, gpu: true}\n")
    return path


def shape(folder: Path, text: str, name: str = "shape.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def where_it_runs(settings: RunSettings) -> tuple[object, ...]:
    return settings.train, settings.work, settings.data.store


def without_that(settings: RunSettings) -> dict[str, object]:
    return settings.model_dump(exclude={"train": True, "work": True, "data": {"store"}})


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.stem)
def test_a_shipped_shape_changes_where_a_run_runs_and_nothing_else(path: Path, run: Path) -> None:
    shaped = load(run, shapes=[path])
    assert without_that(shaped) == without_that(load(run))


def test_the_shipped_shapes_are_these() -> None:
    train = {path.stem: load(RUNS[1], shapes=[path]).train for path in SHAPES}
    assert {name: (each.workers, each.gpu) for name, each in train.items()} == {
        "laptop": (0, False),
        "one-gpu": (1, True),
        "eight-gpus": (8, True),
        "nodes": (16, False),
        "object-storage": (16, False),
        "spot": ((2, 8), False),
    }
    assert [name for name, each in train.items() if each.max_failures] == ["nodes", "object-storage", "spot"]
    bucket = load(RUNS[1], shapes=[ROOT / "configs/cluster/object-storage.yaml"]).data.store
    assert bucket.startswith("s3://")
    # Where there are several nodes, what they share does not lie in a folder of one of them.
    for name in ("nodes", "spot"):
        _, work, store = where_it_runs(load(RUNS[1], shapes=[ROOT / f"configs/cluster/{name}.yaml"]))
        assert Path(str(work)).parent == Path(str(store)).parent == Path("/mnt/lethe")


def test_mappings_are_joined_and_the_last_word_wins(config: Path, tmp_path: Path) -> None:
    first = shape(tmp_path, "train: {workers: 4, max_failures: 1}", "first.yaml")
    second = shape(tmp_path, "train: {workers: [3, 5]}\nevaluate: {k: [7]}", "second.yaml")
    settings = load(config, shapes=[first, second])
    assert (settings.train.workers, settings.train.gpu, settings.train.max_failures) == ((3, 5), True, 1)
    assert settings.evaluate.k == (7,)
    assert load(config, shapes=[second, first]).train.workers == 4
    assert load(config, ["train.workers=9"], [first, second]).train.workers == 9
    assert settings.data.events == load(config).data.events  # still from the folder of the configuration


def test_lists_are_laid_over_whole() -> None:
    assert lay_over({"k": [5, 10], "a": {"b": 1}}, {"k": [7], "a": 2}) == {"k": [7], "a": 2}
    below = {"a": {"b": 1}}
    lay_over(below, {"a": {"b": 2}})
    assert below == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {worker: 8}", "shape.yaml: there is no setting `train.worker`; did you mean `workers`?"),
        ("trains: {workers: 8}", "shape.yaml: there is no setting `trains`; did you mean `train`?"),
        (
            "train: {workers: [8, 2]}",
            "shape.yaml: `train.workers`: must be a number of workers from 0 on, or",
        ),
        ("train: 3", "shape.yaml: `train`"),
        ("evaluate: {seeds: [4]}", "shape.yaml: `evaluate`: `evaluate.seeds` must be at least two"),
        ("- workers", "A configuration must be a mapping, but"),
        ("train: {", "A configuration must be YAML, but"),
    ],
)
def test_a_wrong_shape_is_refused_by_its_name(config: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(config, shapes=[shape(tmp_path, text)])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_in_the_configuration_is_not_blamed_on_the_shape(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text() + "evaluate: {level: 2}\n")
    for text in ("train: {workers: 8}", "evaluate: {k: [5]}"):
        with pytest.raises(ConfigurationError, match=r"closed\.yaml: `evaluate\.level`"):
            load(config, shapes=[shape(tmp_path, text)])
    files = [(Path("run"), {"a": {"b": 1}}), (Path("shape"), {"a": {"c": 1}})]
    assert [source(loc, files).name for loc in (("a", "b"), ("a", "c"), ("d",), ())] == [
        "run", "shape", "run", "run",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        ["prepare"], ["train"], ["search"], ["finetune"], ["evaluate"], ["compare", "1"], ["recommend", "--user", "u"],
        ["promote"], ["rollback"], ["report"], ["run"], ["doctor"],
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_every_command_that_reads_a_configuration_takes_it(
    lethe: Command, config: Path, work: Path, command: list[str]
) -> None:
    name, *rest = command
    said = lethe(name, str(config), *rest, "--with", "no.yaml")
    assert (said.code, said.last) == (
        2,
        "lethe: A configuration must be a file, but there is none at `no.yaml`.",
    )


def test_it_reaches_the_work(lethe: Command, config: Path, small_log: Path, work: Path) -> None:
    (config.parent / "events.csv").write_bytes(small_log.read_bytes())
    shape(work, f"data: {{store: {work}/elsewhere}}")
    said = lethe("prepare", str(config), "--with", "shape.yaml", "--json")
    assert said.json["store"].startswith(f"{work}/elsewhere/")
