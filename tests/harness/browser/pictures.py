"""The pictures of the documentation, of a real run: `make pictures` writes docs/images.

Two versions of a model are made, in a registry of their own: one that was searched, and popularity alone. What is done
of their runs is found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.harness.browser.conftest import CHROMIUM
from tests.harness.browser.server import serving

IMAGES = ROOT / "docs" / "images"
SCRATCH = ROOT / "docs" / "build" / "pictures"
CONFIG, NAME = "configs/online-retail.yaml", "registry.name=online-retail"
POPULAR = "model.terms=[{kind: trend, forgetting: {family: exponential, half_life: 7}}]"
SEEN = 60_000  # milliseconds for what a page shows
SETTLED = 2_000  # and for what moves on it
ONCE = {
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.assistant.panelOpen_v1": "false",
}
"""What MLflow's pages remember of a visitor who has been there before: no assistant."""


@dataclass(frozen=True)
class Camera:
    """Takes pictures of pages in a browser."""

    browser: Any

    def take(
        self,
        name: str,
        address: str,
        of: Callable[[Any], Any] | None = None,
        *,
        width: int = 1366,
        height: int = 900,
    ) -> None:
        """A picture of a window of this size, or of the element that `of` finds on the page, once it is there."""
        context = self.browser.new_context(viewport={"width": width, "height": height})
        context.add_init_script(
            f"for (const [key, value] of Object.entries({json.dumps(ONCE)})) localStorage.setItem(key, value)"
            if address.startswith("http")
            else ""
        )
        page = context.new_page()
        page.goto(address)
        found = of(page) if of else page
        page.wait_for_timeout(SETTLED)
        if (introduction := page.get_by_role("button", name="Try it now")).is_visible():
            introduction.click()  # MLflow's, to its registry
            page.wait_for_timeout(SETTLED)
        found.screenshot(path=str(IMAGES / f"{name}.png"), timeout=SEEN)
        context.close()


def lethe(*arguments: str) -> dict[str, Any]:
    """What a command answers."""
    command = [sys.executable, "-c", "from harness.cli import main; main()", *arguments, "--json"]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def section(name: str) -> Callable[[Any], Any]:
    return lambda page: page.locator(f"section#{name}")


def told(text: str) -> Callable[[Any], Any]:
    """The whole window, once a text is on it."""

    def find(page: Any) -> Any:
        page.get_by_text(text).first.wait_for(timeout=SEEN)
        return page

    return find


def main() -> None:
    from playwright.sync_api import sync_playwright

    SCRATCH.mkdir(parents=True, exist_ok=True)
    IMAGES.mkdir(parents=True, exist_ok=True)
    os.environ["MLFLOW_TRACKING_URI"] = uri = f"sqlite:///{SCRATCH}/mlflow.db"
    run = lethe("run", CONFIG, "--set", NAME)
    lethe("run", CONFIG, "--set", NAME, "--set", POPULAR, "--set", "search=null")
    compared, changed = SCRATCH / "compare.html", SCRATCH / "change.html"
    lethe("compare", CONFIG, "2", CONFIG, "--model", "1", "--out", str(compared), "--set", NAME)
    lethe("report", CONFIG, "--change", "2", "1", "--out", str(changed), "--set", NAME)
    report = Path(run["report"]).absolute().as_uri()
    with sync_playwright() as playwright, serving(uri, SCRATCH / "server.log") as server:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("LETHE_CHROMIUM", CHROMIUM), args=["--no-sandbox"]
        )
        camera = Camera(browser)
        camera.take("search", report, section("search"))
        camera.take("people", report, section("people"))
        camera.take("comparison", compared.as_uri(), section("pairs"))
        camera.take("change", changed.as_uri())
        name, version = run["model"]["name"], run["model"]["version"]
        camera.take("models", f"{server}/#/models", told(name), height=500)
        camera.take("registry", f"{server}/#/models/{name}/versions/{version}", told("Go back:"), height=1100)
        browser.close()


if __name__ == "__main__":
    main()
