"""`lethe compare`: models on the same test queries, paired, and all that a page tells of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import evaluators
from evaluators import Evaluation, Intervals
from harness.errors import ConfigurationError
from harness.progress import bar
from harness.registry.versions import differing, flat, made_of, settings_of
from harness.settings import RunSettings, load
from harness.stage import ForeignScorer, Stage
from harness.steps.registered import foreign, opened, registry_of
from harness.steps.workshop import Workshop
from harness.story.model import curve_of_terms
from trainers.model import Model


@dataclass(frozen=True)
class Compared:
    """One of the models: what it is called, what answers, and what is known of it.

    Attributes:
        name, label: as it was asked for, and as a page calls it.
        settings: of its configuration, flat, with what a search made of them.
    """

    name: str
    label: str
    scorer: Model | ForeignScorer
    model: Model
    settings: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What `lethe compare` is asked for.

    Attributes:
        others: configurations, versions or aliases.
        first: the version or alias that the others are set against; the configuration's own model where it is None.
        changes, shapes: as for the configuration, for the files among `others`.
    """

    settings: RunSettings
    others: Sequence[str]
    first: str | None = None
    changes: Sequence[str] | None = None
    shapes: Sequence[Path] = ()

    def answer(self) -> dict[str, Any]:
        """The JSON of `lethe compare`.

        Returns:
            `metric` (that decides), `metrics` of the first model, `queries`, `intervals` {`level`, `method`},
            `comparisons` [{`against`, metric: paired difference with its p-values}], `pairs` of all models in the
            metric that decides [{`a`, `b`: their places in `models`, the paired difference of a minus b, its `holm` for
            all pairs}], `audit`, `models` [{`name`, `label`, `metrics`, `segments`, `terms`, `settings`}], the first
            one first, and `differing` {setting: [of each model]}.
        """
        workshop = Workshop.open(self.settings)
        stage = workshop.test
        wanted = self.settings.evaluate
        evaluations, models = [], []
        for other in (self.first, *self.others):
            compared = self._own(workshop) if other is None else self._other(workshop, other)
            with bar(f"evaluate {compared.name}"):
                found = stage.evaluate(compared.scorer, wanted.metrics, wanted.k)
            evaluations.append(found)
            models.append(_told(workshop, compared, stage.report(found, wanted.how)))
        entries = [
            {"against": model["name"], **_paired(evaluations[0], found, wanted.how)}
            for model, found in zip(models[1:], evaluations[1:], strict=True)
        ]
        _adjust(entries)
        return {
            "metric": self.settings.gate_metric,
            "metrics": models[0]["metrics"],
            "queries": len(stage.queries),
            "intervals": wanted.told,
            "comparisons": entries,
            "pairs": _pairs(evaluations, self.settings.gate_metric, wanted.how),
            "audit": stage.audit().to_dict(),
            "models": models,
            "differing": differing(*(model["settings"] for model in models)),
        }

    def _own(self, workshop: Workshop) -> Compared:
        """What the configuration describes, fitted for test."""
        described = workshop.described("test")
        return Compared(
            "configuration",
            "the configuration",
            described,
            described,
            flat(yaml.safe_load(self.settings.text())),
        )

    def _other(self, workshop: Workshop, name: str) -> Compared:
        if Path(name).suffix not in (".yaml", ".yml"):
            return self._version(workshop.test, name)
        theirs = load(name, self.changes, self.shapes)
        other = Workshop.open(theirs)
        same = other.store.fingerprint == workshop.store.fingerprint
        if not same or theirs.data.repeats != workshop.test.repeats or theirs.split != self.settings.split:
            raise ConfigurationError(
                f"Compared models must share data and split, but those of `{name}` differ."
            )
        described = other.described("test")
        return Compared(name, Path(name).stem, described, described, flat(yaml.safe_load(theirs.text())))

    def _version(self, stage: Stage, which: str) -> Compared:
        registry = registry_of(self.settings)
        package = opened(registry, which, stage)
        version = registry.find(which)
        settings = settings_of(registry.story(version) or {})
        label = f"v{version.version}" + (f" ({which})" if which in version.aliases else "")
        return Compared(which, label, foreign(stage, package), package.model, settings)


def _told(workshop: Workshop, compared: Compared, report: dict[str, Any]) -> dict[str, Any]:
    terms = curve_of_terms(compared.model, workshop)
    return {
        "name": compared.name,
        "label": compared.label,
        "metrics": report["metrics"],
        "segments": report["segments"],
        "terms": terms,
        "settings": compared.settings | made_of(terms),
    }


def _paired(first: Evaluation, second: Evaluation, how: Intervals) -> dict[str, Any]:
    """The difference in every metric that has a value per query, on the queries of which both say something."""
    found = {}
    for name in first.values:
        a, b, users = first.shared(second, name)
        if not len(users):
            continue
        found[name] = {
            **evaluators.difference(a, b, users, how).to_dict(),
            "wilcoxon": evaluators.wilcoxon(a, b, users),
            "detectable": evaluators.detectable(a, b, users, how.level)
            if len(np.unique(users)) > 1
            else None,
        }
    return found


def _pairs(evaluations: Sequence[Evaluation], metric: str, how: Intervals) -> list[dict[str, Any]]:
    """Each model minus each that comes after it, in one metric; a pair without common queries is left out."""
    found: list[dict[str, Any]] = []
    for (a, first), (b, second) in combinations(enumerate(evaluations), 2):
        mine, theirs, users = first.shared(second, metric)
        if len(users):
            difference = evaluators.difference(mine, theirs, users, how)
            found.append({"a": a, "b": b, **difference.to_dict()})
    adjusted = evaluators.holm([pair["p"] for pair in found])
    return [{**pair, "holm": holm} for pair, holm in zip(found, adjusted, strict=True)]


def _adjust(entries: list[dict[str, Any]]) -> None:
    """Beside each p-value those that answer for all models compared: `holm` and `benjamini_hochberg`."""
    for name in [name for name in entries[0] if name != "against" and all(name in each for each in entries)]:
        p = [entry[name]["p"] for entry in entries]
        adjusted = evaluators.holm(p), evaluators.benjamini_hochberg(p)
        for entry, holm, hochberg in zip(entries, *adjusted, strict=True):
            entry[name] |= {"holm": holm, "benjamini_hochberg": hochberg}
