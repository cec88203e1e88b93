"""How interest fades in a log, whatever is recommended: families of forgetting by likelihood, half-lives by group.

Curves are fitted on the training moments before the validation cut and judged on validation queries; test is not read.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import evaluators
from harness.files import write_json
from harness.progress import bar
from harness.report.words import duration_interval
from harness.steps.workshop import Workshop
from trainers.curves.choices import Choices, Crowd, Floats, Ints
from trainers.curves.comparison import NOTHING, Comparison, Standing, compare, learnable
from trainers.curves.learning import size
from trainers.curves.likelihood import CurveFit, Free, around, fit
from trainers.curves.stretches import Stretches, fit_groups
from trainers.encoders import TermSettings
from trainers.forgetting import Forgetting, ForgettingSettings

FADING_FILE = "fading.json"
SAMPLE, MOST, EVENTS = 8000, 100, 160_000
"""Choices that are fitted and as many that are judged, the latest events of a history, the events of all histories
together: some ten seconds."""
DRAWS = 1000  # resamplings of the users for an interval
TIME = (
    "none", "exponential", "power", "hyperbolic", "weibull", "linear", "logistic", "floor", "mixture", "monotone",
    "renewal", "saturating", "growth",
)  # fmt: skip
"""The families compared on the clock `time`. `geometric` is the same curve as `exponential`."""
MOMENTS = ("exponential", "power")
BOTH = ("exponential", "power")
LARGEST, LEAST_EVENTS = 10, 200
"""Groups that are shown: the largest of a scope, of those with so many events among the choices."""
CURVE_POINTS = 80
MOST_FREE = 6  # parameters of a term's curve, for it to be fitted to the choices


@dataclass(frozen=True)
class Gap:
    difference: float
    low: float
    high: float


def fading(workshop: Workshop) -> dict[str, Any]:
    """What a log says of forgetting, as plain JSON: found in the run's folder, or computed and left there.

    Returns:
        `choices` {`fitted`, `judged`, `users`}, `families` [{`name`, `family`, `clock`, `unit`, `params`, `half_life`,
        `low`, `high`, `value` (nats an event), `behind` and `gain` ({`difference`, `low`, `high`}: the best minus this
        one, this one minus `none`), `told_apart`}] the best first, `chosen` (the simplest that cannot be told from the
        best), `pays`, `half_life` {`value`, `low`, `high`, `unit`} of the chosen curve or null, `shares` {reason: λ},
        `curve` [[age, retention], …], `groups` {`category` | `event_type` | `history`: [{`name`, `events`, `value`,
        `low`, `high`, `unit`}]}, `terms` [{`name`, `family`, `clock`, `half_life`, `low`, `high`, `unit`}]: the family
        of each term that forgets, fitted to the choices; `sentence`. Of a curve on both clocks `half_life` and `curve`
        are those of the days while no later moment passes, and `moments` {`half_life` | `value`, `low`, `high`} is the
        half-life in later moments while no time passes.
    """
    file = workshop.folder / FADING_FILE
    if not file.exists():
        with bar("how interest fades") as line:
            try:
                found = _Measured(workshop, lambda note: line.update(note=note)).story()
            except ValueError as error:  # users without a second moment: a log may be ranked all the same
                told = f"How interest fades cannot be measured on this log: {error}"
                found = {"sentence": told, "chosen": None, "pays": None, "half_life": None}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, found)
    story: dict[str, Any] = json.loads(file.read_text())
    return story


class _Measured:
    def __init__(self, workshop: Workshop, say: Any) -> None:
        stage, seed = workshop.val, workshop.settings.seed
        self.workshop, self.data = workshop, stage.training
        crowd = Crowd.of(self.data, seed=seed)

        def choices(queries: Any) -> Choices:
            return Choices.of(
                self.data,
                queries,
                crowd,
                repeats=workshop.settings.data.repeats,
                most=MOST,
                sample=SAMPLE,
                events=EVENTS,
                seed=seed,
            )

        self.fitted, self.judged = choices(self.data.moments()), choices(stage.queries)
        self.fits: dict[str, CurveFit] = {}
        self.of_terms: dict[ForgettingSettings, CurveFit] = {}
        for name, settings in candidates(self.fitted).items():
            say(name)
            self.fits[name] = fit(self.fitted, settings)
        level = workshop.settings.evaluate.level

        def paired(one: Floats, other: Floats, users: Ints) -> Gap:
            found = evaluators.interval(one - other, users, level, DRAWS, seed)
            return Gap(found.mean, found.low, found.high)

        self.level = level
        self.comparison: Comparison = compare(self.fits, self.judged, paired)

    def story(self) -> dict[str, Any]:
        comparison, chosen = self.comparison, self.comparison.chosen
        curve = chosen.fit.forgetting
        half_life = _half_life(chosen.fit, self.level)
        groups = self._groups(chosen.fit) if chosen.name != NOTHING else {}
        ages = np.concatenate(([0.0], np.geomspace(*self._span(curve), CURVE_POINTS)))
        retained = curve.at(ages) / curve.starts_at
        return {
            "choices": {
                "fitted": len(self.fitted),
                "judged": len(self.judged),
                "users": len(np.unique(self.fitted.user)),
            },
            "families": [self._family(each) for each in comparison.standings],
            "chosen": chosen.name,
            "pays": comparison.pays,
            "half_life": half_life,
            "shares": chosen.fit.shares,
            "curve": [[float(age), float(left)] for age, left in zip(ages, retained, strict=True)],
            "groups": groups,
            "terms": self._terms(),
            "sentence": _sentence(comparison, half_life, float(retained[-1])),
        }

    def _span(self, curve: Forgetting) -> tuple[float, float]:
        ages = self.fitted.days if curve.clock != "moments" else self.fitted.moments + 1
        return float(np.quantile(ages, 0.001)), float(ages.max())

    def _family(self, standing: Standing) -> dict[str, Any]:
        curve = standing.fit.forgetting
        return {
            "name": standing.name,
            "family": curve.family,
            "clock": curve.clock if standing.name != NOTHING else "",
            "params": curve.values,
            **_lives(standing.fit, self.level),
            "value": standing.mean,
            "behind": vars(_gap(standing.behind)),
            "gain": vars(_gap(standing.gain)),
            "told_apart": standing.told_apart,
        }

    def _terms(self) -> list[dict[str, Any]]:
        entries = []
        for term in self.workshop.settings.model.terms:
            found = self._of_term(term)
            if found is not None:
                curve = found.forgetting
                about = {"family": curve.family, "clock": curve.clock}
                entries.append({"name": term.label, **about, **_lives(found, self.level)})
        return entries

    def _of_term(self, term: TermSettings) -> CurveFit | None:
        """The family of a term, fitted to the choices; None for a term that forgets nothing, or that fades with the
        crowd and not with a history, and for a bank of many states, whose parameters no log settles one by one."""
        curve = term.forgetting
        if curve.family == NOTHING or term.kind == "trend":
            return None
        plain = curve.model_copy(update={"learn": True, "scope": "all", "stretch": {}})
        if len(Free.of(plain).centre) > MOST_FREE:
            return None
        if plain not in self.of_terms:
            self.of_terms[plain] = fit(self.fitted, plain)
        return self.of_terms[plain]

    def _groups(self, common: CurveFit) -> dict[str, list[dict[str, Any]]]:
        store, log = self.workshop.store, self.data.log
        names = {"category": store.category_names.tolist(), "event_type": store.event_types.tolist()}
        found = {}
        for scope, known in names.items():
            if size(scope, log) > 1:
                stretches = fit_groups(self.fitted, common, scope, most=LARGEST, least=LEAST_EVENTS)
                found[scope] = _named(stretches, common, known, self.level)
        terciles, labels = _terciles(np.asarray(self.data.stop - log.offsets[:-1]), self.fitted)
        if len(labels) > 1:
            by_history = replace(self.fitted, groups={"history": terciles})
            stretches = fit_groups(by_history, common, "history")
            found["history"] = _named(stretches, common, labels, self.level)
        return {scope: rows for scope, rows in found.items() if len(rows) > 1}


def candidates(choices: Choices) -> dict[str, ForgettingSettings]:
    """The curves that are compared, by name: `none` and others on the days, some on later moments, some on both."""
    found = {family: learnable(family, "time", choices) for family in TIME}
    found |= {f"{family}, moments": learnable(family, "moments", choices) for family in MOMENTS}
    found |= {f"{family}, both": learnable(family, "both", choices) for family in BOTH}
    return found


def _named(stretches: Stretches, common: CurveFit, names: list[str], level: float) -> list[dict[str, Any]]:
    """The groups with their half-lives, the longest first for those without an order of their own."""
    base, unit = stretches.common.halved, common.forgetting.unit
    if not math.isfinite(base):
        return []
    # A group's stretch is known given the common curve, which is not known exactly either.
    ends = [
        around(base * math.exp(stretch), math.hypot(spread, common.spread), level)
        for stretch, spread in zip(stretches.log_stretch, stretches.spread, strict=True)
    ]
    rows = [
        {
            "name": names[group],
            "events": int(stretches.events[place]),
            "value": (value := base * math.exp(stretches.log_stretch[place])),
            **{end: _ends(value, ends[place])[end] for end in ("low", "high")},
            "unit": unit,
        }
        for place, group in enumerate(stretches.groups.tolist())
    ]
    return rows if stretches.scope == "history" else sorted(rows, key=lambda row: -float(row["value"]))


def _terciles(events: Ints, choices: Choices) -> tuple[Ints, list[str]]:
    """[E] the third of the users, by their training events, that each event's user is in; and what they are called."""
    users = np.unique(choices.user)
    low, high = (int(edge) for edge in np.quantile(events[users], (1 / 3, 2 / 3)))
    third = np.searchsorted([low, high], events, side="left")
    names = [f"up to {low:,} events", f"{low + 1:,} to {high:,} events", f"more than {high:,} events"]
    return third[choices.user[choices.moment_of_event]], names if low < high else names[:1]


def _half_life(found: CurveFit, level: float) -> dict[str, Any] | None:
    """Of a curve on both clocks that is never half gone by one of them, what it is by the other."""
    days = _lives(found, level)
    moments = days.pop("moments", None)
    known = [
        {"value": life.pop("half_life"), **life, "unit": unit}
        for life, unit in ((days, days.pop("unit")), (moments, "moments"))
        if life is not None and life["half_life"] is not None
    ]
    if not known:
        return None
    first, *second = known
    return first | ({"moments": second[0]} if second else {})


def _lives(found: CurveFit, level: float) -> dict[str, Any]:
    """The half-life with its interval and its unit, and on both clocks that in later moments beside it."""
    curve = found.forgetting
    lives = {**_ends(found.half_life, found.half_life_interval(level)), "unit": curve.unit}
    if curve.clock == "both":
        lives["moments"] = _ends(curve.factors[-1].halved, found.moments_half_life_interval(level))
    return lives


def _ends(half_life: float, ends: tuple[float, float]) -> dict[str, Any]:
    """As JSON has it: null for what is infinite, and for the ends of an interval that says nothing."""
    told = math.isfinite(half_life) and math.isfinite(ends[1])
    return {
        "half_life": half_life if math.isfinite(half_life) else None,
        "low": ends[0] if told else None,
        "high": ends[1] if told else None,
    }


def _gap(gap: Any) -> Gap:
    return Gap(gap.difference, gap.low, gap.high)


def _sentence(comparison: Comparison, half_life: dict[str, Any] | None, oldest: float) -> str:
    """What a person takes away; `oldest` is what is left of the oldest event, a new one having 1."""
    gain = comparison.best.gain
    told = f"{gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] nats an event"
    if not comparison.pays:
        return f"Forgetting does not pay on this log: the best curve gains {told} over none."
    if oldest > 1:
        return (
            f"Nothing fades: old events count more than new ones on this log ({told} over no forgetting), the oldest "
            f"{oldest:.2g} times as much."
        )
    if half_life is None:
        return f"Interest fades ({told} over no forgetting), but along the curve it is never half gone."
    cells = [half_life, *([half_life["moments"]] if "moments" in half_life else [])]
    after = " or ".join(
        duration_interval(cell["value"], cell["low"], cell["high"], cell["unit"]) for cell in cells
    )
    return f"An interest is half gone after {after}; forgetting is worth {told}."
