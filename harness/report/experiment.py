"""The section on the simulated A/B test: the lift, the arms, and whether they can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.report import words
from harness.report.blocks import Block, Facts, Gallery, Section, Shot, Table, Text
from harness.report.parts import Summary, dig, metric_of, text_of
from harness.report.words import finite

_READINGS = {"better": "B is ahead", "worse": "B is behind", "no interval": "no interval is known"}
_CAVEAT = (
    "A simulation knows only what users did under the recommender of their day: "
    "it rehearses the test, it is not the test."
)


def ab(summary: Summary) -> Section:
    """What `evaluators.ab` found, in words."""
    held = summary.get("ab")
    if not isinstance(held, dict) or not held:
        return Section("ab", "Simulated A/B test", [Text("No A/B test was simulated.", "note")])
    if why := held.get("sentence"):
        return Section("ab", "Simulated A/B test", [Text(text_of(why), "note")])
    lift, p = held.get("absolute"), words.chance(held.get("p"))
    reading = _READINGS.get(words.judged(lift), "these arms cannot tell B from A")
    gain = words.interval(dig(lift, "value"), dig(lift, "low"), dig(lift, "high"), sign=True)
    outcome = text_of(held.get("outcome"), f"{words.metric(metric_of(summary))} on a user's queries")
    shot = Shot(
        "ab", f"Lift of B over A with its interval: {reading}.", "Lift of B over A in the mean outcome"
    )
    blocks: list[Block] = [
        Text(f"Lift of B over A: {gain}, {p}: {reading}."),
        Text(f"The outcome is {outcome}; users are dealt to the arms by a hash of their id."),
        Gallery([shot, _arms(held)]),
        _ratio(held.get("ratio")),
        *_sequential(held),
    ]
    if facts := _facts(held):
        blocks.append(Facts(facts))
    return Section("ab", "Simulated A/B test", [*blocks, Text(_CAVEAT, "note")])


def _arms(held: dict[str, Any]) -> Table:
    columns: list[tuple[object, Callable[[object], str]]] = [
        (dig(held, "ratio", "users"), words.count),
        (dig(held, "ratio", "expected"), words.count),
        (held.get("mean"), words.number),
    ]
    names = held.get("names") or ["", ""]
    rows = [
        [f"{arm}: {name}" if name else arm, *(_at(values, place, form) for values, form in columns)]
        for place, (arm, name) in enumerate(zip("AB", names, strict=False))
    ]
    return Table("The arms", ["Arm", "Users", "Expected", "Mean outcome"], rows, (1, 2, 3))


def _at(values: object, place: int, form: Callable[[object], str]) -> str:
    if isinstance(values, (list, tuple)) and place < len(values):
        return form(values[place])
    return words.NOTHING


def _ratio(ratio: object) -> Text:
    if dig(ratio, "mismatch") is None:
        return Text("The sizes of the arms were not checked.", "note")
    p = words.chance(dig(ratio, "p"))
    if dig(ratio, "mismatch"):
        return Text(
            f"Sample ratio mismatch ({p}): the arms have not the sizes asked for, trust no lift.", "warn"
        )
    return Text(f"Sample ratio: the arms have the sizes that their shares say ({p}).")


def _sequential(held: dict[str, Any]) -> list[Block]:
    """What may be read on any day of the test, and the guardrails; nothing where they were not asked for."""
    blocks: list[Block] = []
    if (p := finite(dig(held, "ratio_sequential", "p"))) is not None:
        users = finite(dig(held, "ratio_sequential", "users"))
        found = "no alarm" if users is None else f"an alarm after {words.count(users)} users: trust no lift"
        blocks.append(
            Text(
                f"Checked after every user (sequential multinomial test): {found} ({words.chance(p)}).",
                "note" if users is None else "warn",
            )
        )
    if isinstance(always := held.get("always"), dict):
        day = finite(always.get("day"))
        when = "never left out zero" if day is None else f"left out zero from day {words.count(day)} on"
        gain = words.interval(*(dig(always, "absolute", end) for end in ("value", "low", "high")), sign=True)
        blocks.append(
            Text(
                f"Read every day, the lift is {gain}, {words.chance(always.get('p'))}: an always-valid interval, which "
                f"{when} in {words.count(always.get('days'))} days."
            )
        )
    if rails := [rail for rail in held.get("guardrails") or () if isinstance(rail, dict)]:
        rows = [
            [
                words.metric(rail.get("metric")),
                words.number(rail.get("margin")),
                words.number(rail.get("difference"), sign=True),
                words.number(rail.get("low"), sign=True),
                "held" if rail.get("held") else "not held",
            ]
            for rail in rails
        ]
        blocks.append(
            Table("Guardrails", ["Metric", "Margin", "B − A", "At least", "Verdict"], rows, (1, 2, 3))
        )
    return blocks


def _facts(held: dict[str, Any]) -> list[tuple[str, str]]:
    facts = []
    if more := held.get("relative"):
        value, low, high = (
            words.share(dig(more, key), sign=key == "value") for key in ("value", "low", "high")
        )
        facts.append(("Relative lift", f"{value} [{low}, {high}]"))
    if isinstance(adjusted := held.get("cuped"), dict):
        gain = words.interval(
            *(dig(adjusted, "absolute", end) for end in ("value", "low", "high")), sign=True
        )
        gone = words.share(adjusted.get("reduction"))
        facts.append(
            ("Lift with CUPED", f"{gain}, {words.chance(adjusted.get('p'))}; {gone} of the variance gone")
        )
    if finite(held.get("detectable")) is not None:
        facts.append(("Smallest lift these arms detect", words.number(held["detectable"])))
    if finite(held.get("needed")) is not None:
        power = finite(held.get("power"))
        more = "" if power is None else f", with power {100 * power:g} %"
        facts.append(("Users needed per arm to detect the lift seen", words.count(held["needed"]) + more))
    return facts
