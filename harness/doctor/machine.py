"""What is installed on this machine, and what room it has."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import uuid
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.doctor.check import Check, Unwell
from harness.settings import RunSettings
from trainers.storage.place import CACHE, Place, cache, is_uri

FREE_BYTES = 2 * 2**30
INSTALL = "pip install -c constraints.txt -e ."
PINS = Path(__file__).parents[2] / "constraints.txt"  # there in a checkout, not in an installed package


def _python(settings: RunSettings) -> str:
    found, needed = platform.python_version(), metadata("lethe")["Requires-Python"]
    if found not in SpecifierSet(needed):
        raise Unwell(
            f"{found}, and Lethe needs {needed}", f"make an environment with Python {needed}: {INSTALL}"
        )
    return found


def packages() -> list[Check]:
    """A check for each package that Lethe requires."""
    try:
        needed = [Requirement(line) for line in requires("lethe") or ()]
    except PackageNotFoundError:
        needed = []
    here = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [Check(f"package {each.name}", partial(_package, each), INSTALL) for each in here]


def _package(needed: Requirement, settings: RunSettings) -> str:
    try:
        found = version(needed.name)
    except PackageNotFoundError:
        raise Unwell("not installed", f"{INSTALL} (needs {needed})") from None
    if found not in needed.specifier:
        raise Unwell(f"{found}, and Lethe needs {needed.specifier}", INSTALL)
    tested = _pins().get(needed.name.lower())
    return found if tested in (None, found) else f"{found}, tested with {tested}"


def _pins() -> dict[str, str]:
    lines = PINS.read_text().splitlines() if PINS.exists() else []
    pairs = (line.partition("==") for line in lines if "==" in line)
    return {name.lower(): pinned for name, _, pinned in pairs}


def _disk(settings: RunSettings) -> str:
    """Both folders that a run writes to can be written, and have room."""
    found = []
    store: tuple[str, str | Path] = ("data.store", settings.data.store)
    if is_uri(settings.data.store):
        store = (CACHE, cache())  # where this machine keeps its copies
    for name, folder in (("work", settings.work), store):
        place = Path(folder).absolute()
        try:
            place.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place).close()
        except OSError as error:
            raise Unwell(
                f"`{name}` cannot be written: {error.strerror} at {place}",
                f"set `{name}` to a folder of yours",
            ) from None
        free = shutil.disk_usage(place).free
        if free < FREE_BYTES:
            raise Unwell(
                f"{place} has {free / 2**30:.1f} GiB free, and 2 are needed",
                f"make room, or set `{name}` to a larger disk",
            )
        found.append(f"{free / 2**30:.0f} GiB free at {place}")
    return "; ".join(dict.fromkeys(found))


def _object_storage(settings: RunSettings) -> str:
    """An object is written where stores will go, read, and deleted again."""
    if not is_uri(settings.data.store):
        return "not needed: `data.store` is a folder"
    place, name, content = Place(settings.data.store), f".doctor-{uuid.uuid4().hex}", b"lethe doctor was here"
    place.write(name, [content])
    try:
        if place.read(name) != content:
            raise Unwell(
                f"{settings.data.store} gives back another object than was written", "mend the storage"
            )
    finally:
        place.delete(name)
    return f"written and read at {settings.data.store}"


def _gpu(settings: RunSettings) -> str:
    """torch can use GPUs where a fit is to; on a cluster they are on other machines, and Ray counts them."""
    import torch

    count = torch.cuda.device_count()
    if not settings.train.gpu:
        return f"{count} seen, none needed"
    if torch.version.cuda is None and torch.version.hip is None:
        raise Unwell(
            "`train.gpu` is set, but torch is built without CUDA",
            "install torch from https://pypi.org/simple (for the image: --build-arg TORCH_INDEX=https://pypi.org/simple)",
        )
    if not count and not os.environ.get("RAY_ADDRESS"):
        raise Unwell(
            "`train.gpu` is set, but torch sees no GPU",
            "install the driver (`nvidia-smi` must list a GPU), or set train.gpu=false",
        )
    return f"{count} seen here"


def _collective(settings: RunSettings) -> str:
    """What workers add up through: NCCL between GPUs, Gloo between CPUs; Gloo is tried, alone."""
    import torch
    import torch.distributed as dist

    if settings.train.most < 2:
        return "not needed: at most one worker"
    if settings.train.gpu:
        if not dist.is_nccl_available():
            raise Unwell("torch is built without NCCL", "install a build of torch for Linux with CUDA")
        return "NCCL"
    if not dist.is_gloo_available():
        raise Unwell("torch is built without Gloo", "install torch from https://pypi.org/simple")
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=0, world_size=1)
        try:
            dist.all_reduce(torch.ones(1))
        finally:
            dist.destroy_process_group()
    return "Gloo"


MACHINE = (
    Check("python", _python, INSTALL),
    Check("disk", _disk, "set `work` and `data.store` to folders with room"),
    Check("object storage", _object_storage, "set `data.store`, and the credentials in the environment"),
    Check("gpu", _gpu, INSTALL),
    Check(
        "collective",
        _collective,
        "the name of this machine must resolve to an address of its own (/etc/hosts), or set GLOO_SOCKET_IFNAME",
    ),
)
