"""The first screen: the verdict in a sentence, and the figures that carry it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report import words
from harness.report.blocks import Card
from harness.report.parts import Summary, curves_of, dig, half_life_of, maps, metric_of, text_of
from harness.report.words import finite


@dataclass(frozen=True)
class Verdict:
    """`tone` is `yes`, `no` or `open`; `badge` says the same in words."""

    tone: str
    badge: str
    sentence: str
    reasons: list[str]


def verdict(summary: Summary) -> Verdict:
    """What was decided; a run without a gate says so."""
    promoted = dig(summary, "verdict", "promoted")
    tone, badge, default = {
        True: ("yes", "Promoted", "The candidate passed its gate."),
        False: ("no", "Not promoted", "The candidate did not pass its gate."),
    }.get(promoted, ("open", "No decision", "No gate was asked: nothing was promoted."))
    reasons = dig(summary, "verdict", "reasons")
    lines = [str(reason) for reason in reasons] if isinstance(reasons, list) else []
    return Verdict(tone, badge, text_of(dig(summary, "verdict", "sentence"), default), lines)


def cards(summary: Summary) -> list[Card]:
    """The metric, each difference, the half-lives and the registered model, as far as they are known."""
    return [*_metric(summary), *_differences(summary), *_half_lives(summary), *_model(summary)]


def _metric(summary: Summary) -> list[Card]:
    cell = dig(summary, "evaluation", "metrics", metric_of(summary))
    cell = cell if cell is not None else dig(summary, "models", "candidate", metric_of(summary))
    if finite(dig(cell, "mean")) is None:
        return []
    asked = dig(summary, "evaluation", "queries")
    stage = text_of(dig(summary, "evaluation", "stage"), "")
    basis = (
        ""
        if asked is None
        else f"{words.counted(asked, 'query', 'queries')} {'on ' + stage if stage else ''}".strip()
    )
    return [Card(words.metric(metric_of(summary)), *figure_and_range(cell, "mean"), basis)]


def _differences(summary: Summary) -> list[Card]:
    made = []
    for comparison in maps(summary.get("comparisons")):
        cell, other = comparison.get(metric_of(summary)), text_of(comparison.get("against"))
        if finite(dig(cell, "difference")) is None:
            continue
        figure, spread = figure_and_range(cell, "difference")
        basis = [words.judged(cell)]
        if (gain := relative(summary, other, metric_of(summary), cell)) is not None:
            basis.append(words.share(gain, sign=True))
        if finite(dig(cell, "p")) is not None:
            basis.append(words.chance(dig(cell, "p")))
        made.append(Card(f"against {AGAINST.get(other, other)}", figure, spread, " · ".join(basis)))
    return made


AGAINST = {"none": "no forgetting", "trend": "the trend"}


def relative(summary: Summary, other: str, metric: str, cell: object) -> float | None:
    """The difference as a share of the other model's mean, where that is known."""
    models = summary.get("models")
    held = dig(models, other) or dig(models, other.split(" ")[0])
    base, gain = finite(dig(held, metric, "mean")), finite(dig(cell, "difference"))
    return gain / base if base and gain is not None else None


def _half_lives(summary: Summary) -> list[Card]:
    made = []
    for term in maps(summary.get("terms")):
        if all(finite(curve.get("half_life")) is None for curve in curves_of(term)):
            continue
        family = text_of(dig(term, "forgetting", "family"))
        made.append(Card(f"half-life of {text_of(term.get('name'))}", half_life_of(term), f"{family} curve"))
    return made[:3]


def _model(summary: Summary) -> list[Card]:
    name, version = dig(summary, "model", "name"), dig(summary, "model", "version")
    if name is None:
        return []
    aliases = dig(summary, "model", "aliases")
    remark = words.listed(aliases) if isinstance(aliases, list) else ""
    return [
        Card(
            "registered model", f"version {version}" if version is not None else str(name), str(name), remark
        )
    ]


def figure_and_range(cell: object, key: str) -> tuple[str, str]:
    """The figure, and its interval in brackets apart."""
    sign = key == "difference"
    figure = words.number(dig(cell, key), sign=sign)
    whole = words.of(cell, sign=sign)
    return figure, whole.removeprefix(figure).strip()
