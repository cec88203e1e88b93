"""The page: whole, alone, safe, and said in words."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.report import figures, render, write
from harness.report.drawing import Drawing

from .sample import CONFIG, summary

VOID = {"meta", "br", "hr", "img", "input", "link", "use", "path"}
SECTIONS = [
    "asked",
    "data",
    "curve",
    "fading",
    "search",
    "training",
    "evaluation",
    "segments",
    "calibration",
    "people",
    "ab",
    "audit",
    "reproduce",
]


class Page(HTMLParser):
    """Tags in balance, attributes by tag, and the text between."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def html() -> str:
    return render(summary(), config_text=CONFIG)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def drawn() -> dict[str, Drawing]:
    return figures(summary())


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without their figures, which take a second each."""
    monkeypatch.setattr("harness.report.page.figures", lambda _: {})


def test_every_section_is_there_in_order(page: Page) -> None:
    assert [section["id"] for section in page.all("section")] == SECTIONS
    assert [link["href"] for link in page.all("a")] == [f"#{name}" for name in SECTIONS]


@pytest.mark.usefixtures("undrawn")
def test_the_verdict_comes_first_in_words(page: Page) -> None:
    start = page.text.index("Lethe run report")
    assert re.search(
        r"online-retail\s+✓ Promoted\s+Version 7 forgets by a power law", page.text[start : start + 120]
    )
    lost = summary()
    lost["verdict"] = {"promoted": False, "sentence": "It is no better.", "reasons": []}
    assert "✕ Not promoted It is no better." in Page(render(lost, config_text=CONFIG)).text


@pytest.mark.parametrize(
    "said",
    [
        "0.2940 [0.2760, 0.3120]",
        "+0.0125 [0.0083, 0.0167]",
        "against no forgetting",
        "better · +4.4 % · p < 0.001",
        "21 days",
        "3.2 moments",
        "fitted before 80 % of the events",
        "397,884",
        "8,973",
        "37.4 %",
        "best trial is t041",
        "the best against the runner-up",
        "no clear difference",
        "1 trial failed.",
        "The fine-tuned model was not kept: the recent window gained nothing",
        "9,214 queries by 1,871 users on test",
        "> 90 days",
        "the arms have the sizes that their shares say",
        "2,411, with power 80 %",
        "No leak: all 358,095 training events lie strictly before every query.",
        "lethe run configs/online-retail.yaml",
        "b3f1c0de5a6e4d0f9a77c1e2",
        "torch 2.13.0",
        "linear, variant: ease, l2: 500",
        "An interest is half gone after 31 days [24, 40]",
        "cannot be told from the best, chosen",
        "24 days to 40 days",
        "Half-lives by category",
        "age: half of the highest is left after 2.8 days",
        "interval: highest at 1 × the interval",
        "1 ✓ yes REGENCY CAKESTAND 3 days before",
        "Taken, but not on the list: ALARM CLOCK.",
        "All 96 trials, the best first",
    ],
)
def test_the_page_says(page: Page, said: str) -> None:
    assert said in page.text


def test_every_figure_is_there_once_with_its_words(page: Page, drawn: dict[str, Drawing]) -> None:
    labels = [svg["aria-label"] for svg in page.all("svg") if svg["role"] == "img"]
    assert len(labels) == len(drawn) == len(set(labels))
    assert all(label and len(label) > 15 for label in labels)
    over = [svg for svg in page.all("svg") if svg["role"] == "group"]
    assert len(over) == len(labels)
    assert len(page.all("circle")) == sum(len(figure.marks) for figure in drawn.values())


def test_ids_are_unique_and_every_reference_is_met(html: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)


def test_tables_have_captions_and_scopes(page: Page) -> None:
    assert len(page.all("table")) == len(page.all("caption")) >= 12
    assert {head.get("scope") for head in page.all("th")} == {"col", "row"}


def test_nothing_is_loaded_from_anywhere(html: str) -> None:
    assert not re.search(r"https?:|@import|url\((?!#)|<link|<iframe|<img|\bsrc=", html)


def test_the_page_has_one_script_which_its_policy_names(html: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert html.count("<script") == 1
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in html.replace("'", "&#39;")
    assert "eval" not in script
    assert "innerHTML" not in script


def test_hostile_names_stay_text() -> None:
    bad = "<script>alert('x')</script>\"><img src=x onerror=1>"
    hostile: dict[str, Any] = _replaced(summary(), bad)
    hostile["data"]["reasons"] = {bad: 1}
    hostile["search"]["importance"] = {bad: 0.4}
    hostile["models"] = {bad: hostile["models"]["none"]}
    hostile["evaluation"]["segments"] = {bad: {bad: hostile["evaluation"]["segments"]["novelty"]["new"]}}
    text = render(hostile, config_text=f"{bad}\n</code></pre>")
    Page(text)
    assert text.count("<script") == 1  # the page's own
    assert "<img" not in text
    assert "&lt;script&gt;" in text


def _replaced(value: Any, text: str) -> Any:
    """The same summary with `text` in the place of every free text."""
    if isinstance(value, dict):
        kept = {"metric", "unit", "created", "start", "span", "protocol"}
        return {k: v if k in kept else _replaced(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [_replaced(part, text) for part in value]
    return text if isinstance(value, str) else value


def _cuts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of every key, four deep."""
    if isinstance(value, dict) and len(path) < 4:
        for key, part in value.items():
            yield (*path, key)
            yield from _cuts(part, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict) and len(path) < 3:
        yield from _cuts(value[0], (*path, 0))


def _without(places: list[tuple[Any, ...]], *, gone: bool) -> dict[str, Any]:
    """The sample without these keys: all of them gone, or all null."""
    less = summary()
    for place in places:
        holder: Any = less
        for key in place[:-1]:
            known = isinstance(holder, list) or (isinstance(holder, dict) and key in holder)
            holder = holder[key] if known else None
        if isinstance(holder, dict) and place[-1] in holder:
            holder[place[-1]] = None
            if gone:
                del holder[place[-1]]
    return less


@pytest.mark.usefixtures("undrawn")
def test_any_key_may_be_missing_or_null() -> None:
    places = list(_cuts(summary()))
    assert len(places) > 150
    for n, place in enumerate(places):
        render(_without([place], gone=n % 2 == 0), config_text="")


@pytest.mark.parametrize("seed", range(4))
def test_many_keys_may_be_missing_and_the_figures_are_drawn_all_the_same(seed: int) -> None:
    draw = random.Random(seed)
    lost = [place for place in _cuts(summary()) if draw.random() < 0.12]
    less = _without(lost, gone=seed % 2 == 0)
    made = Page(render(less, config_text=""))
    assert len([svg for svg in made.all("svg") if svg["role"] == "img"]) == len(figures(less))


@pytest.mark.parametrize(
    "less", [{}, {"name": None}, dict.fromkeys(summary()), {key: {} for key in ("data", "search")}]
)
def test_an_empty_summary_is_still_a_page(less: dict[str, Any]) -> None:
    made = Page(render(less, config_text=""))
    asked_for = {"calibration", "people"}  # a run may have been told to leave these out
    assert [section["id"] for section in made.all("section")] == [s for s in SECTIONS if s not in asked_for]
    assert "No decision" in made.text
    assert "No search ran" in made.text
    assert "Undefined" not in made.text
    assert "None" not in made.text


@pytest.mark.usefixtures("undrawn")
def test_a_horizon_and_a_rolling_protocol_are_told() -> None:
    asked = {"protocol": "rolling", "horizon": {"days": 7}}
    rolling = {"metric": "ndcg@10", "refit": True, "trend": {"sentence": "As the model ages, ndcg@10 falls."}}
    text = Page(render(asked | {"evaluation": {"rolling": rolling}}, config_text="")).text
    assert "everything taken within 7 days from the moment on is right" in text
    assert "As the model ages, ndcg@10 falls." in text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"level": 0.9, "method": "percentile"}, "brackets are 90 % intervals that resample users"),
        ({"level": 0.95, "method": "bca"}, "brackets are 95 % BCa intervals that resample users"),
        (
            {"level": 0.99, "method": "robust"},
            "brackets are 99 % intervals of a standard error that is robust to",
        ),
    ],
)
def test_it_says_how_its_intervals_are_found(held: dict[str, Any], said: str) -> None:
    assert said in Page(render(summary() | {"intervals": held}, config_text=CONFIG)).text


def test_warnings_are_said_in_words() -> None:
    bad = summary()
    bad["ab"]["ratio"] |= {"mismatch": True, "p": 0.0001}
    found = {"name": "future_vocabulary", "count": 1234, "sentence": "1,234 items have no training event"}
    notice = {"name": "ties_at_cut", "count": 7, "sentence": "7 events have the cut's timestamp"}
    bad["ab"]["ratio_sequential"] |= {"mismatch": True, "p": 0.0001, "users": 812}
    bad["ab"]["always"] |= {"day": 9}
    bad["ab"]["guardrails"][0] |= {"held": False}
    bad["evaluation"]["audit"] |= {"leaks": True, "verdict": "Leaks: 4 moments straddle the cut."}
    bad["evaluation"]["audit"] |= {"findings": [found], "notices": [notice]}
    text = Page(render(bad, config_text="")).text
    assert "Attention. Sample ratio mismatch (p < 0.001)" in text
    assert (
        "Attention. Checked after every user (sequential multinomial test): an alarm after 812 users" in text
    )
    assert "left out zero from day 9 on in 38 days" in text
    assert "not held" in text
    assert "Attention. Leaks: 4 moments straddle the cut." in text
    for part in ("What leaks", "future vocabulary", "1,234 items have no training event", "ties at cut"):
        assert part in text


@pytest.mark.usefixtures("undrawn")
def test_what_was_stopped_and_what_was_known_is_told() -> None:
    told = summary()
    told["search"] |= {
        "stopped": 31,
        "scheduler": {"kind": "asha", "by": "users"},
        "warm_start": {"from": "`shop` v3", "known": 48, "skipped": 2},
    }
    text = Page(render(told, config_text="")).text
    assert "31 trials lagged behind and stopped early, by users answered; the best is whole." in text
    assert "48 trials of `shop` v3 were known from the start." in text
    assert "stopped early" not in Page(render(summary(), config_text="")).text


@pytest.mark.usefixtures("undrawn")
def test_the_same_summary_gives_the_same_page() -> None:
    assert render(summary(), config_text=CONFIG) == render(summary(), config_text=CONFIG)


def test_write_makes_the_file(tmp_path: Path) -> None:
    target = write({"name": "é"}, CONFIG, tmp_path / "deep" / "report.html")
    assert target.read_text(encoding="utf-8") == render({"name": "é"}, config_text=CONFIG)
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_write_leaves_the_old_report_when_it_fails(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("the old report")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write({}, "", target)
    assert target.read_text() == "the old report"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("undrawn")
def test_a_segment_that_is_everybody_is_not_shown() -> None:
    alone = summary()
    segments = alone["evaluation"]["segments"]
    segments["cold"] = dict([next(iter(segments["recency"].items()))])
    text = Page(render(alone, config_text="")).text
    assert "By time since the user's last event" in text
    assert "People that training knows, and others" not in text
