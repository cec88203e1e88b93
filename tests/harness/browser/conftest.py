"""A Chromium that is installed, driven by Playwright, and the pages that it opens."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import report
from harness.commands.changing import Change
from harness.commands.comparing import Comparison
from harness.job import pipeline
from harness.report import change, comparison
from harness.settings import load
from tests.harness.conftest import CLOSED
from tests.harness.report.sample import CONFIG, summary

PLANTED = "<script>document.title = 'planted'</script>"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once; `LETHE_CHROMIUM` names one that is not on the path."""
    api = pytest.importorskip("playwright.sync_api", reason="needs `pip install -e '.[browser]'`")
    path = os.environ.get("LETHE_CHROMIUM", CHROMIUM)
    if not path:
        pytest.skip("no Chromium is installed; LETHE_CHROMIUM may name one")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass
class Opened:
    """A page in a browser, and what it complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._heard(said.type, said.text, said.location["url"]))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, kind: str, text: str, where: str) -> None:
        if kind == "error":
            self.complaints.append(f"{text} ({where})")


def serious(place: Any) -> list[tuple[str, list[str]]]:
    """What axe-core finds serious or worse in a page or a frame: each rule, with the first places that break it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    return [
        (each["id"], [node["html"][:120] for node in each["nodes"]][:3])
        for each in axe.Axe().run(place).response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """Opens an address in a context of its own: ``opened(address, width=390, bypass_csp=True)``."""
    contexts = []

    def call(address: str, *, width: int = 1366, **more: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, **more)
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.goto(address)
        return found

    yield call
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def site(small_log: Path, empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The addresses of every kind of page: `sample` (a report with every part), and of two runs without a search
    `report`, `comparison` and `change`. Every item's title is a script tag."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(empty_registry, folder / "mlflow.db")
    shutil.copy(small_log, folder / "events.csv")
    items = sorted({line.split(",")[1] for line in small_log.read_text().splitlines()[1:]})
    titles = [f'{item},"{PLANTED} {item}"' for item in items]
    (folder / "items.csv").write_text("\n".join(["item_id,title", *titles]))
    made: dict[str, Path] = {"sample": folder / "sample.html"}
    report.write(summary() | {"name": PLANTED}, CONFIG, made["sample"])
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        os.chdir(folder)
        try:
            for half_life in (5, 50):
                file = Path(f"closed-{half_life}.yaml")
                text = CLOSED.replace("half_life: 5", f"half_life: {half_life}")
                file.write_text(text.replace("events: events.csv", "events: events.csv, items: items.csv"))
                made["report"] = Path(pipeline.run(load(file), file)["report"])
            settings = load("closed-5.yaml")
            compared = Comparison(settings, ["2", "1"], "1").answer()
            made["comparison"] = comparison.page(compared, "closed").write(folder / "compare.html")
            changed = Change(settings, "1", "2", users=3).answer()
            made["change"] = change.page(changed).write(folder / "change.html")
        finally:
            os.chdir(before)
    return {name: path.absolute().as_uri() for name, path in made.items()}
