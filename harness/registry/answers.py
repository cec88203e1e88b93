"""What a newcomer asks of a version, each answered in a line: is it live, what did it beat, how do I go back, …"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.cost import Cost
from harness.report.parts import half_life_of

Facts = dict[str, Any]


def answers(version: Facts, decision: Facts | None, story: Facts | None) -> dict[str, str]:
    """Question → answer, of what the registry has; a question that it cannot answer is left out.

    Args:
        version: as `Version.to_dict` gives it.
        decision: the newest of the gate, or None.
        story: what was told of the run, or None.
    """
    found = dict(_of_the_gate(version, decision))
    if story is not None:
        found |= dict(_of_the_run(story))
    return found | dict(_what_to_type(version, story))


def lacked(decision: Facts) -> list[str]:
    """The rules that a refused candidate broke, in a line each, with their figures; of a decision that was taken
    elsewhere, whatever reasons it gives."""
    if "checks" not in decision:
        return list(decision.get("reasons", []))
    return [f"{check['rule']}: {check['sentence']}" for check in decision["checks"] if not check["passed"]]


def last_refused(versions: Iterable[tuple[Facts, Facts | None]]) -> Facts | None:
    """Of versions, newest first, with their decisions: the first that the gate refused, and what it lacked."""
    for version, decision in versions:
        if decision is not None and not decision["promoted"]:
            return {
                "version": version["version"],
                "decided": decision.get("decided"),
                "lacked": lacked(decision),
            }
    return None


def gain(decision: Facts) -> str:
    """By how much, of what, over whom."""
    interval = f"{decision['difference']:+.4f} [{decision['low']:+.4f}, {decision['high']:+.4f}]"
    return f"{interval} in {decision['metric']} over {decision['against']}"


def _of_the_gate(version: Facts, decision: Facts | None) -> Iterator[tuple[str, str]]:
    champion = "champion" in version["aliases"]
    since = version["live_since"]
    yield "live", (f"yes, since {since}" if since else "yes") if champion else "no"
    if decision is None:
        return
    if "difference" in decision:
        name = "what it beat" if decision["promoted"] else "what it met"
        yield name, f"{gain(decision)}, decided {decision['decided']}"
    if not decision["promoted"]:
        yield "what it lacked", "; ".join(lacked(decision))


def _of_the_run(story: Facts) -> Iterator[tuple[str, str]]:
    data, evaluation = story["data"], story["evaluation"]
    span = data["profile"]["span"]
    yield (
        "data",
        f"{data['events']:,} events of {data['users']:,} users, {span['first'][:10]} to {span['last'][:10]}, "
        f"fingerprint {story['fingerprint']}; trained until {story['trained_until']}; {evaluation['queries']:,} test "
        f"queries ({story['protocol']})",
    )
    lives = [f"{term['name']} {half_life_of(term)}" for term in story["terms"] if term["forgetting"]]
    yield "half-life", ", ".join(lives) or "nothing is forgotten"
    yield "cost", Cost.of(story["cost"]).words()


def _what_to_type(version: Facts, story: Facts | None) -> Iterator[tuple[str, str]]:
    champion = "champion" in version["aliases"]
    name, which = version["name"], "@champion" if champion else f"/{version['version']}"
    if champion and story is not None:
        yield "go back", f"lethe rollback {story['config_path']}"
    yield "serve", f"mlflow models serve -m models:/{name}{which} --env-manager local"
    if story is not None:
        code = f"lethe {story['versions']['lethe']}, source {story.get('code', 'unknown')}"
        yield (
            "reproduce",
            f"lethe run {story['config_path']} --fresh; the resolved file is configuration.yaml of run "
            f"{story['run_id']}; data {story['fingerprint']}, {code}, seed {story.get('seed', 'unknown')}",
        )
