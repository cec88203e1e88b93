"""What would change: the lists of two versions side by side, for sampled users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report import plots, words
from harness.report.blocks import Block, Card, Filter, Gallery, Part, Section, Shot, Table, Text
from harness.report.drawing import Drawing
from harness.report.html import Page

Result = Mapping[str, Any]


def page(result: Result) -> Page:
    """The page of what `harness.commands.changing.Change.answer` returns."""
    before, after = result["before"], result["after"]
    return Page(
        "Lethe: what would change",
        result["name"],
        f"{result['name']}: {before} to {after} – Lethe",
        [_agreement(result), _items(result), _lists(result)],
        figures(result),
        cards=_cards(result),
        meta=[
            f"{before} answers now, {after} would then",
            f"lists of {result['k']} at {words.stamp(result['at'])}",
            f"{words.counted(result['sampled'], 'user')} drawn at random",
        ],
    )


def _cards(result: Result) -> list[Card]:
    found = result["agreement"]
    basis = words.counted(result["sampled"], "user")
    return [
        Card(
            "of a list stays on it", words.share(found["overlap"]["mean"]), _spread(found["overlap"]), basis
        ),
        Card(
            "rank-biased overlap", words.number(found["rbo"]["mean"], 2), "1: the same list", "0: none of it"
        ),
        Card("users whose list is the very same", words.share(found["same"]), "", basis),
    ]


def _spread(cell: Mapping[str, Any]) -> str:
    return f"[{words.share(cell['low'])}, {words.share(cell['high'])}]"


def _agreement(result: Result) -> Section:
    shot = Shot(
        "agreement",
        "How many users have a rank-biased overlap of so much between their two lists.",
        "Users by how much their two lists agree, the top weighing most",
    )
    note = (
        "Rank-biased overlap (Webber, Moffat and Zobel 2010, p = 0.9) reads both lists from the top: a change at the "
        "first place weighs most. It says how much would change, not whether that is for the better."
    )
    return Section("agreement", "How much would change", [Gallery([shot]), Text(note, "note")])


def _items(result: Result) -> Section:
    tables = []
    for title, key in (("On more lists", "gaining"), ("On fewer lists", "losing")):
        rows = [
            [entry["title"], words.count(entry["before"]), words.count(entry["after"])]
            for entry in result[key]
        ]
        if rows:
            tables.append(Table(title, ["Item", "Lists now", "Lists then"], rows, (1, 2)))
    blocks: list[Block] = [Gallery(tables)] if tables else [Text("No item stands on more or fewer lists.")]
    return Section("items", "Which items gain and lose", blocks)


def _lists(result: Result) -> Section:
    parts = [Part(f"user {held['user']}", _user(result, held)) for held in result["lists"]]
    if not parts:
        return Section("lists", "Lists side by side", [Text("No user is shown.", "note")])
    return Section("lists", "Lists side by side", [Filter("Show", parts)])


def _user(result: Result, held: Result) -> list[Block]:
    events = words.counted(held["events"], "event")
    told = (
        f"User {held['user']}, {events}: {words.share(held['overlap'])} of the list stays, rank-biased overlap "
        f"{words.number(held['rbo'], 2)}."
    )
    now = [[str(n), entry["title"], _to(n, entry["to"])] for n, entry in enumerate(held["before"], 1)]
    then = [[str(n), entry["title"], _rose(entry["rose"])] for n, entry in enumerate(held["after"], 1)]
    return [
        Text(told),
        Gallery(
            [
                Table(f"Now, {result['before']}: user {held['user']}", ["Place", "Item", "Then"], now, (0,)),
                Table(
                    f"Then, {result['after']}: user {held['user']}", ["Place", "Item", "Moved"], then, (0,)
                ),
            ]
        ),
    ]


def _to(place: int, then: int | None) -> str:
    """
    >>> _to(2, None), _to(2, 2), _to(2, 5)
    ('gone', 'the same', '↓ place 5')
    """
    if then is None:
        return "gone"
    return "the same" if then == place else f"{'↑' if then < place else '↓'} place {then}"


def _rose(places: int | None) -> str:
    """
    >>> _rose(None), _rose(0), _rose(3), _rose(-1)
    ('new', 'the same', '↑ up 3', '↓ down 1')
    """
    if places is None:
        return "new"
    return "the same" if not places else f"{'↑ up' if places > 0 else '↓ down'} {abs(places)}"


def figures(result: Result) -> dict[str, Drawing]:
    """The histogram of the agreement."""
    figure, (ax,) = plots.canvas(2.6)
    for each in result["agreement"]["histogram"]:
        middle = (each["from"] + each["to"]) / 2
        ax.bar([middle], [each["users"]], width=0.9 * (each["to"] - each["from"]), color=plots.BLUE)
        said = f"{each['from']:.1f} to {each['to']:.1f}: {words.counted(each['users'], 'user')}"
        figure.tell(ax, middle, each["users"], said)
    plots.thousands(ax)
    ax.set_xlim(0, 1)
    plots.label(ax, "rank-biased overlap of the two lists", "users")
    return {"agreement": figure}
