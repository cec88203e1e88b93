"""MLflow's own pages after a main job: the registry, a version, a run with its figures and its report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from harness.registry.registry import Registry
from tests.harness.browser.conftest import Opened, serious
from tests.harness.browser.server import serving
from tests.harness.conftest import Finished

pytestmark = pytest.mark.slow
SEEN = 30_000  # milliseconds for what a page shows
KNOWN = {
    "/ajax-api/2.0/mlflow/users/current": "MLflow's pages ask who is logged in; a server without logins has no answer",
    "ResizeObserver loop completed with undelivered notifications.": "MLflow's table of runs, while it is laid out",
}
"""What MLflow's own pages complain of, and why."""


@pytest.fixture(scope="module")
def server(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mlflow server` over the database of a main job that is done."""
    with serving(finished.uri, tmp_path_factory.mktemp("mlflow") / "server.log") as address:
        yield address


def complaints(found: Opened) -> list[str]:
    """All but what MLflow's pages say on every server."""
    return [text for text in found.complaints if not any(known in text for known in KNOWN)]


def seen(found: Opened, *texts: str) -> None:
    for text in texts:
        found.page.get_by_text(text).first.wait_for(timeout=SEEN)


def place(finished: Finished) -> str:
    """The address of the run's page below the server's."""
    run = finished.result["run_id"]
    experiment = MlflowClient(finished.uri).get_run(run).info.experiment_id
    return f"#/experiments/{experiment}/runs/{run}"


def test_the_registry_lists_the_model_and_who_is_live(opened: Any, server: str) -> None:
    found = opened(f"{server}/#/models")
    row = found.page.get_by_role("row").filter(has_text="tiny")
    row.wait_for(timeout=SEEN)
    assert row.get_by_text("@ champion").count() == 1
    assert "Version 1" in row.inner_text()
    assert complaints(found) == []


def test_a_version_answers_without_scrolling(
    opened: Any, server: str, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why it won, what it was made from, who is live, how to go back: all on the first screen."""
    finished.there(monkeypatch)
    found = opened(f"{server}/#/models/tiny/versions/1")
    seen(found, "Go back:")
    page = found.page
    for said in ("Why:", "Made from:", "Forgets:", "Live:", "Go back:", "See:", "@ champion", "@ candidate"):
        box = page.get_by_text(said).first.bounding_box()
        assert box, said
        assert 0 < box["y"] < 900 - box["height"], said
    text = page.locator("body").inner_text()
    version = Registry("tiny").find("1")
    assert version.tags["verdict"] in text
    assert "**" not in text
    assert "`" not in text
    assert "lethe rollback tiny.yaml" in text
    for title in ("On the test queries", "How it was chosen", "What it cost", "Limits of use"):
        assert page.get_by_role("heading", name=title).count() == 1
    for metric, figure in finished.result["evaluation"]["metrics"].items():
        row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=metric, exact=True)).last
        assert f"{figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]" in row.inner_text()
    assert complaints(found) == []


def test_a_version_leads_to_its_report(opened: Any, server: str) -> None:
    found = opened(f"{server}/#/models/tiny/versions/1")
    with found.page.context.expect_page() as tab:
        found.page.get_by_role("link", name="the report").click(timeout=SEEN)
    tab.value.frame_locator("iframe").get_by_text("Lethe run report").wait_for(timeout=SEEN)
    assert complaints(found) == []


def test_a_run_says_what_it_was_and_lists_its_parts(opened: Any, server: str, finished: Finished) -> None:
    found = opened(f"{server}/{place(finished)}")
    seen(found, "Child runs", "Go back:")
    for part in ("search", "search under none", "pretrain", "evaluation"):
        assert found.page.get_by_role("link", name=part, exact=True).count() == 1
    found.page.get_by_role("link", name="search", exact=True).click()
    seen(found, "trial-023")
    assert complaints(found) == []


def test_the_table_of_runs_holds_the_trials(opened: Any, server: str, finished: Finished) -> None:
    found = opened(f"{server}/{place(finished).rpartition('/')[0]}")
    seen(found, "matching runs")
    below = MlflowClient(finished.uri).search_runs(
        [MlflowClient(finished.uri).get_run(finished.result["run_id"]).info.experiment_id], max_results=500
    )
    seen(found, f"{len(below)}")
    assert complaints(found) == []


def test_a_run_shows_its_figures(opened: Any, server: str, finished: Finished) -> None:
    found = opened(f"{server}/{place(finished)}/artifacts/figures/models.png")
    picture = found.page.locator("img[src*='models.png'], img[src^='blob:']").first
    picture.wait_for(timeout=SEEN)
    found.page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
    assert complaints(found) == []


def test_the_report_is_whole_among_the_artifacts(opened: Any, server: str, finished: Finished) -> None:
    found = opened(f"{server}/{place(finished)}/artifacts/report.html", bypass_csp=True)
    frame = found.page.frame_locator("iframe")
    frame.get_by_text("Lethe run report").wait_for(timeout=SEEN)
    assert frame.locator("svg[role=img]").count() > 10
    assert frame.locator("tbody tr").count() > 30
    inside = next(each for each in found.page.frames if each.parent_frame)
    assert serious(inside) == []
    assert complaints(found) == []
