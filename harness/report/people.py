"""The section on some real users: their timelines, what is left of each moment, the list at the moment asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

from harness.report import plots, words
from harness.report.blocks import Block, Filter, Gallery, Part, Section, Shot, Table, Text
from harness.report.drawing import Drawing
from harness.report.parts import Summary, dig, maps, text_of
from harness.report.words import finite

NAMED = 4  # titles of a moment that a point names


def section(summary: Summary) -> Section | None:
    """None where no user is shown."""
    held = summary.get("examples")
    users = maps(dig(held, "users"))
    if not users:
        return None
    term, forgotten = text_of(dig(held, "term")), words.share(dig(held, "forgotten"))
    how = (
        f"What is left of an event is read off the curve of the term {term} as it was fitted; one of which less than "
        f"{forgotten} is left counts as forgotten."
    )
    parts = [Part(f"user {text_of(user.get('user'))}", _user(n, user)) for n, user in enumerate(users)]
    note = Text(f"{text_of(dig(held, 'rule'))} {how}", "note")
    return Section("people", "Some users", [note, Filter("Show", parts)])


def _user(number: int, user: Summary) -> list[Block]:
    moments = maps(user.get("moments"))
    events = words.counted(user.get("events"), "event")
    who, when = text_of(user.get("user")), words.stamp(user.get("at"))
    span, gone = words.counted(len(moments), "moment"), words.count(user.get("gone"))
    told = f"User {who} had {events} in {span} before {when}; {gone} of them forgotten."
    shot = Shot(
        f"people_{number}",
        f"What is left of each moment of user {who} at {when}, by when it was.",
        f"What is left of each moment of user {who}: the larger, the more events; hollow, forgotten; a diamond, "
        "something of it was taken again and stood on the list",
    )
    blocks: list[Block] = [Text(told), Gallery([shot, _list(user)])]
    if missed := [str(title) for title in user.get("missed") or ()]:
        blocks.append(Text(f"Taken, but not on the list: {words.listed(missed)}."))
    return [*blocks, _history(who, moments)]


def _list(user: Summary) -> Table:
    rows = [
        [
            words.count(entry.get("rank")),
            "✓ yes" if entry.get("hit") else "no",
            text_of(entry.get("title")),
            "never" if entry.get("last") is None else f"{words.duration(entry.get('last'))} before",
        ]
        for entry in maps(user.get("list"))
    ]
    caption = f"The list for user {text_of(user.get('user'))} at that moment"
    return Table(caption, ["Place", "Taken", "Item", "Last taken"], rows, (0,))


def _history(who: str, moments: Sequence[Summary]) -> Table:
    rows = [
        [
            words.stamp(moment.get("at")),
            words.duration(moment.get("age")),
            words.share(moment.get("left")),
            ", ".join(str(title) for title in moment.get("titles") or ()),
        ]
        for moment in reversed(moments)
    ]
    caption = f"All moments of user {who}, the latest first"
    return Table(caption, ["When", "Age", "Left", "What"], rows, (2,), folded=True)


def figures(summary: Summary) -> dict[str, Drawing]:
    """A timeline for each user."""
    held = summary.get("examples")
    forgotten = finite(dig(held, "forgotten")) or 0.0
    return {
        f"people_{number}": _timeline(user, forgotten)
        for number, user in enumerate(maps(dig(held, "users")))
        if maps(user.get("moments"))
    }


def _timeline(user: Summary, forgotten: float) -> Drawing:
    figure, (ax,) = plots.canvas(2.9)
    back = {str(entry.get("title")) for entry in maps(user.get("list")) if entry.get("hit")}
    for moment in maps(user.get("moments")):
        when, left = words.moment(moment.get("at")), finite(moment.get("left"))
        if when is None or left is None:
            continue
        day = float(date2num(when))  # type: ignore[no-untyped-call]  # matplotlib's
        titles = [str(title) for title in moment.get("titles") or ()]
        shape, colour = ("D", plots.VERMILLION) if back & set(titles) else ("o", plots.BLUE)
        face = "white" if left < forgotten else colour
        size = 4 + min(6.0, (finite(moment.get("events")) or 1) ** 0.5)
        ax.vlines(day, 0, left, color=colour, linewidth=1, alpha=0.5)
        ax.plot([day], [left], shape, mfc=face, mec=colour, markersize=size)
        figure.tell(ax, day, left, _said(moment, titles, left))
    ax.axhline(forgotten, color=plots.MUTED, linewidth=1, linestyle=(0, (3, 2)))
    if (asked := words.moment(user.get("at"))) is not None:
        ax.axvline(float(date2num(asked)), color=plots.INK, linewidth=1.4)  # type: ignore[no-untyped-call]  # matplotlib's
    locator = AutoDateLocator(minticks=2, maxticks=5)  # type: ignore[no-untyped-call]  # matplotlib's
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # matplotlib's
    ax.xaxis.get_offset_text().set(fontsize=plots.LETTERS, color=plots.MUTED)
    ax.set_ylim(0, max(1.04, ax.get_ylim()[1]))
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    plots.label(ax, y="what is left")
    return figure


def _said(moment: Mapping[str, object], titles: Sequence[str], left: float) -> str:
    named = words.listed(titles[:NAMED]) + (f" and {len(titles) - NAMED} more" if len(titles) > NAMED else "")
    when, age = words.day(moment.get("at")), words.duration(moment.get("age"))
    return f"{when}, {age} before: {words.share(left)} left of {named}"
