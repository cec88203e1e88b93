"""Which versions are registered, what is known of one, and in what two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from harness.registry.answers import answers, last_refused
from harness.registry.registry import Registry, Version, names
from harness.report.parts import half_life_of

Facts = dict[str, Any]


def list_models(name: str | None) -> dict[str, Any]:
    """All registered models with their versions, or those of one: the JSON of `lethe models`."""
    found = []
    for each in [name] if name else names():
        versions = [(version.to_dict(), version.decision) for version in Registry(each).versions()]
        told = {"name": each, "versions": [version for version, _ in versions]}
        found.append(told | {"last_refused": last_refused(versions)})
    return {"models": found}


def show(registry: Registry, which: str) -> dict[str, Any]:
    """What the registry knows of a version: the JSON of `lethe models NAME --show VERSION`.

    A version that no `lethe run` made has its tags and its decision alone: `settings`, `curves`, `data` and `metrics`
    are empty.
    """
    version = registry.find(which)
    known = _known(registry, version)
    told = answers(version.to_dict(), version.decision, registry.story(version))
    return {**version.to_dict(), "answers": told, "description": version.description, **known}


def diff(registry: Registry, first: str, second: str) -> dict[str, Any]:
    """In what two versions differ: the JSON of `lethe models NAME --diff A B`.

    Returns:
        `settings`, `curves` and `data`: ``{name: [of A, of B]}`` of what differs alone, None where one has it not;
        `metrics`: ``{name: [of A, of B]}``, each a mean with its interval; `same_queries`: whether both were asked the
        same test queries, without which the figures say little of each other; `decisions`: of A and B.
    """
    a, b = registry.find(first), registry.find(second)
    mine, theirs = _known(registry, a), _known(registry, b)
    return {
        "name": registry.name,
        "versions": [a.version, b.version],
        "aliases": [list(a.aliases), list(b.aliases)],
        **{part: differing(mine[part], theirs[part]) for part in ("settings", "curves", "data")},
        "metrics": beside(mine["metrics"], theirs["metrics"]),
        "same_queries": bool(mine["asked"]) and mine["asked"] == theirs["asked"],
        "decisions": [mine["decision"], theirs["decision"]],
    }


def _known(registry: Registry, version: Version) -> Facts:
    story = registry.story(version) or {}
    data = story.get("data", {})
    evaluation = story.get("evaluation", {})
    counts = {name: data[name] for name in ("events", "users", "items") if name in data}
    span = data.get("profile", {}).get("span", {})
    search = story.get("search")
    found = {
        "decision": version.decision,
        "settings": settings_of(story),
        "curves": {term["name"]: _curve(term) for term in story.get("terms", [])},
        "data": counts
        | {name: span[name] for name in ("first", "last") if name in span}
        | {name: story[name] for name in ("trained_until", "fingerprint") if name in story},
        "metrics": evaluation.get("metrics", {}),
        "asked": [
            story[name] for name in ("fingerprint", "protocol", "cuts", "horizon", "repeats") if name in story
        ],
        "cost": story.get("cost"),
    }
    if search:
        found["search"] = {name: search[name] for name in ("trials", "failed", "best")}
    return found


def settings_of(story: Mapping[str, Any]) -> Facts:
    """What a version was made by: its configuration, flat, and what search and validation made of its terms."""
    return flat(yaml.safe_load(story.get("configuration", "{}"))) | made_of(story.get("terms", []))


def flat(tree: Any, where: str = "") -> Facts:
    """A tree as `{path: value}`; what is listed is counted from 0.

    >>> flat({"a": {"b": 1, "c": [2, {"d": 3}]}})
    {'a.b': 1, 'a.c.0': 2, 'a.c.1.d': 3}
    """
    inside = tree if isinstance(tree, Mapping) else dict(enumerate(tree)) if isinstance(tree, list) else None
    if inside is None:
        return {where: tree}
    found: Facts = {}
    for key, value in inside.items():
        found |= flat(value, f"{where}.{key}" if where else str(key))
    return found


def made_of(terms: list[Facts]) -> Facts:
    """What the search and validation made of each term: ``chosen.<term>.<setting>``."""
    chosen: Facts = {}
    for term in terms:
        held = {"weight": term["weight"], **term["settings"]}
        chosen |= {f"chosen.{term['name']}.{path}": value for path, value in flat(held).items()}
    return chosen


def _curve(term: Facts) -> Facts | None:
    curve = term["forgetting"]
    if not curve:
        return None
    about = {name: curve[name] for name in ("family", "clock", "half_life", "unit", "params")}
    return {**about, "words": half_life_of(term)}


def beside(*sides: Facts) -> dict[str, list[Any]]:
    """What each side has of every name that any has, None where it has it not."""
    names = dict.fromkeys(name for side in sides for name in side)
    return {name: [side.get(name) for side in sides] for name in names}


def differing(*sides: Facts) -> dict[str, list[Any]]:
    """The same for the names of which the sides have not all one value.

    >>> differing({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 3})
    {'b': [2, None, 3]}
    """
    return {name: held for name, held in beside(*sides).items() if any(each != held[0] for each in held)}
