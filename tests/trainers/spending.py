"""A search and a fit on a cluster that was joined, as a program: prints what the cluster's workers said they spent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.trainers import helpers
from tests.trainers.search.searching import MODEL, SPACE
from trainers import cluster
from trainers.fitting.pretrain import Resources, fit
from trainers.fitting.request import Fit
from trainers.log import PackedLog
from trainers.model import ModelSettings
from trainers.search.objective import Judge, Reached, State, Subject
from trainers.search.search import search
from trainers.search.settings import SearchSettings
from trainers.search.space import Space
from trainers.spent import Spent

ITEMS = 12


class Burning:
    """Each trial takes 0.2 s of processors, and notes what its process has used by then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self) -> str:
        return "burning"

    def about(self) -> dict[str, Any]:
        return {}

    def open(self) -> Judge:
        return self.judge

    def judge(self, settings: ModelSettings, start: State | None = None) -> Iterator[Reached]:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
        (self.folder / f"{os.getpid()}.used").write_text(str(time.process_time()))
        yield Reached(1.0, np.ones(2))


def main(folder: Path) -> None:
    cluster.connect()
    said = {"search": Spent(), "fit": Spent()}

    def adds(name: str) -> Callable[[Spent], None]:
        return lambda spent: said.update({name: said[name].plus(spent)})

    chosen = SearchSettings.model_validate({"trials": 5, "space": SPACE, "ahead": 2})
    subject = Subject(MODEL, Space.model_validate(SPACE))
    search(chosen, [subject], Burning(folder), folder / "trials", spent=adds("search"))
    used = sum(float(file.read_text()) for file in folder.glob("*.used"))
    helpers.write_log(helpers.cycle(users=25), folder / "log")
    helpers.training(PackedLog.open(folder / "log", ITEMS), 8, validate=True).save(folder / "data")
    terms = [{"kind": "trend"}]
    request = Fit(str(folder / "log"), ITEMS, str(folder / "data"), str(folder / "fit"), terms, repeats=True)
    fit([request], Resources(1), adds("fit"))
    print(used, said["search"].cpu, said["fit"].cpu, said["search"].gpu + said["fit"].gpu)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
