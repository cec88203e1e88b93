"""What a network learned of a user's own items: how fast they fade, when they come back."""

from __future__ import annotations

from harness.report import plots, words
from harness.report.blocks import Block, Gallery, Shot, Text
from harness.report.drawing import Drawing
from harness.report.parts import Summary, maps, rows_of, slug, text_of
from harness.report.words import finite

MEANING = {
    "days": "age",
    "moments": "age in later moments of the user",
    "intervals": "age in intervals of the item",
    "hours": "hours between the times of day",
}


def blocks(term: Summary) -> list[Block]:
    """The learned factors of a term's own items; nothing for a term that has none."""
    shots = [
        Shot(_figure(term, unit), f"Learned weight of own events by {MEANING[unit]}: {said}.", said)
        for unit in MEANING
        if (said := _said(_of_unit(term, unit)))
    ]
    if not shots:
        return []
    name = text_of(term.get("name"))
    told = (
        f"In {name}, the logit of an item that the user had rises with the logarithm of one more than the sum over its "
        "events of the product of these factors, each drawn beside its highest value."
    )
    return [Text(told, "note"), Gallery(shots)]


def figures(summary: Summary) -> dict[str, Drawing]:
    """A picture of each factor of each term; those of one unit share it."""
    return {
        _figure(term, unit): _draw(factors, unit)
        for term in maps(summary.get("terms"))
        for unit in MEANING
        if (factors := _of_unit(term, unit))
    }


def _figure(term: Summary, unit: str) -> str:
    return slug("own", term.get("name", "term"), unit)


def _of_unit(term: Summary, unit: str) -> list[Summary]:
    return [each for each in maps(term.get("factors")) if each.get("unit") == unit and len(_points(each)) > 1]


def _points(factor: Summary) -> list[tuple[float, float]]:
    return [
        (at, share) for at, share in rows_of(factor.get("curve"), 2) if at is not None and share is not None
    ]


def _said(factors: list[Summary]) -> str:
    return ", ".join(_told(each) for each in factors)


def _told(factor: Summary) -> str:
    name, unit = text_of(factor.get("name")), text_of(factor.get("unit"))
    if (half := finite(factor.get("half_life"))) is not None:
        return f"{name}: half of the highest is left after {words.duration(half, unit)}"
    highest, _ = max(_points(factor), key=lambda point: point[1])
    return f"{name}: highest at {_at(highest, unit)}"


def _at(x: float, unit: str) -> str:
    if unit in ("hours", "intervals"):
        return f"{words.compact(round(x, 2))} {'hours apart' if unit == 'hours' else '× the interval'}"
    return words.duration(x, unit)


def _draw(factors: list[Summary], unit: str) -> Drawing:
    figure, (ax,) = plots.canvas(2.7)
    for colour, style, each in zip(plots.SERIES, ("-", "--"), factors, strict=False):
        points = _points(each)
        at, share = [x for x, _ in points], [y for _, y in points]
        ax.plot(at, share, color=colour, linestyle=style, linewidth=2.2, label=text_of(each.get("name")))
        for x, y in points:
            figure.tell(
                ax, x, y, f"{text_of(each.get('name'))}, {_at(x, unit)}: {words.share(y)} of the highest"
            )
    plots.age_axis(ax, at, unit)
    ax.set_ylim(0, 1.04)
    if len(factors) > 1:
        plots.legend(figure, ax, 1)
    plots.label(ax, MEANING[unit], "factor beside its highest")
    return figure
