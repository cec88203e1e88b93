"""Every page of Lethe in Chromium: what is on it, who can read it, and what it does when it is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.browser.conftest import PLANTED, Opened, serious

pytestmark = pytest.mark.slow
NAMES = ["sample", "report", "comparison", "change"]
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(params=NAMES)
def address(request: pytest.FixtureRequest, site: dict[str, str]) -> str:
    return site[request.param]


def test_text_tables_and_pictures_are_there_and_nothing_complains(opened: Any, address: str) -> None:
    found: Opened = opened(address)
    page = found.page
    assert page.locator("h1").inner_text()
    assert page.title().endswith("Lethe")  # the planted scripts have not run
    assert page.locator("h2").count() == page.locator("section").count() >= 3
    assert page.locator("tbody tr").count() >= 10
    pictures = page.locator("svg[role=img]")
    assert pictures.count() >= 1
    sizes = [pictures.nth(n).bounding_box() for n in range(pictures.count())]
    assert all(size["width"] > 100 and size["height"] > 50 for size in sizes if size)
    assert any(sizes)
    assert found.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Any, address: str, scheme: str) -> None:
    page = opened(address, color_scheme=scheme, bypass_csp=True).page
    for folded in page.locator("details").all():
        folded.locator("summary").first.click() if folded.is_visible() else None
    assert serious(page) == []


@pytest.mark.parametrize("width", [390, 1366])
def test_no_page_scrolls_sideways(opened: Any, address: str, width: int) -> None:
    page = opened(address, width=width, bypass_csp=True).page
    assert page.evaluate(SIDEWAYS) == 0
    page.locator("svg.marks .mark").first.dispatch_event("focus")  # the tip is kept inside too
    assert page.evaluate(SIDEWAYS) == 0


def test_everything_is_there_without_scripts_and_on_paper(opened: Any, address: str) -> None:
    without = opened(address, java_script_enabled=False).page
    assert without.locator("select").count() == 0
    parts = without.locator(".part")
    assert all(part.is_visible() for part in parts.all())
    printed = opened(address).page
    printed.emulate_media(media="print")
    assert all(part.is_visible() for part in printed.locator(".part").all())
    assert not any(each.is_visible() for each in printed.locator("select").all())


def test_titles_with_script_tags_are_text(opened: Any, site: dict[str, str]) -> None:
    page = opened(site["change"]).page
    assert page.get_by_text(PLANTED).count() > 10
    assert page.locator("script").count() == 1
    assert PLANTED in opened(site["sample"]).page.locator("h1").inner_text()


def test_a_point_says_its_value_under_the_pointer_and_the_keys(opened: Any, site: dict[str, str]) -> None:
    page = opened(site["sample"]).page
    marks = page.locator("#evaluation svg.marks").first.locator(".mark")
    tip = page.locator("#tip")
    assert not tip.is_visible()
    marks.nth(1).scroll_into_view_if_needed()
    marks.nth(1).hover()
    assert tip.inner_text() == marks.nth(1).get_attribute("aria-label")
    assert "none: 0.2815" in tip.inner_text()
    page.mouse.move(2, 2)
    assert not tip.is_visible()
    marks.nth(0).focus()
    assert tip.inner_text() == marks.nth(0).get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() == marks.nth(1).get_attribute("aria-label")
    page.keyboard.press("End")
    assert tip.inner_text() == marks.last.get_attribute("aria-label")
    assert [mark.get_attribute("tabindex") for mark in marks.all()].count("0") == 1
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_a_trial_lights_up_with_its_line(opened: Any, site: dict[str, str]) -> None:
    page = opened(site["sample"]).page
    mark = page.locator("#search svg.marks .mark[data-line]").first
    mark.dispatch_event("focus")
    line = page.locator(f"#{mark.get_attribute('data-line')}")
    assert "lit" in line.get_attribute("class")
    page.keyboard.press("Escape")
    assert "lit" not in (line.get_attribute("class") or "")


def test_a_choice_shows_one_kind_of_segments(opened: Any, site: dict[str, str]) -> None:
    page = opened(site["sample"]).page
    section = page.locator("#segments")

    def shown() -> list[str]:
        parts = section.locator(".part").all()
        return [str(part.get_attribute("data-name")) for part in parts if part.is_visible()]

    assert len(shown()) == 3
    page.get_by_label("Show").first.select_option("Repeats and new items")
    assert shown() == ["Repeats and new items"]
    page.get_by_label("Show").first.select_option("all segments")
    assert len(shown()) == 3


def test_a_table_is_sorted_by_its_numbers(opened: Any, site: dict[str, str]) -> None:
    page = opened(site["sample"]).page
    table = page.locator("#segments table").first

    def column() -> list[str]:
        return [str(row.locator("td").first.inner_text()) for row in table.locator("tbody tr").all()]

    table.get_by_role("button", name="Queries").click()
    assert column() == ["412", "820", "1,920", "2,212", "3,850"]
    assert table.locator("th").nth(1).get_attribute("aria-sort") == "ascending"
    table.get_by_role("button", name="Queries").click()
    assert column() == ["3,850", "2,212", "1,920", "820", "412"]


@pytest.mark.parametrize("width", [390, 1366])
def test_the_matrix_of_all_pairs_is_sorted_by_a_model(opened: Any, site: dict[str, str], width: int) -> None:
    page = opened(site["comparison"], width=width).page
    matrix = page.locator("#pairs table").first
    assert matrix.locator("tbody tr").count() == matrix.locator("thead th").count() - 1 == 3
    head = matrix.get_by_role("button").nth(1)
    head.click()
    first = [
        float(row.locator("td").first.inner_text().lstrip("✓ ").split()[0].replace("−", "-"))
        for row in matrix.locator("tbody tr").all()
    ]
    assert first == sorted(first)
    assert page.evaluate(SIDEWAYS) == 0
