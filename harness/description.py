"""What a model version says of itself in the registry, in Markdown with the verdict first."""

from __future__ import annotations

from typing import Any

from harness.report.parts import half_life_of
from harness.report.words import of


def markdown(story: dict[str, Any]) -> str:
    """The description of a model version from the story of its run."""
    evaluation, data = story["evaluation"], story["data"]
    lines = [story["verdict"]["sentence"], ""]
    lines += [f"- {reason}" for reason in story["verdict"]["reasons"]]
    others = [entry["against"] for entry in story["comparisons"]]
    names = {entry["against"]: entry["against"].split()[0] for entry in story["comparisons"]}
    heads = ["metric", "this model", *(f"over {name}" for name in others)]
    lines += ["", "### On the test queries", "", f"| {' | '.join(heads)} |"]
    lines += ["|---|---|" + "---|" * len(others)]
    for metric, figure in evaluation["metrics"].items():
        cells = [of(figure)]
        for entry in story["comparisons"]:
            found = entry.get(metric)
            cells.append(
                f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]" if found else ""
            )
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "### What it forgets",
        "",
        "| term | weight | forgetting | half-life |",
        "|---|---|---|---|",
    ]
    for term in story["terms"]:
        curve = term["forgetting"]
        shown = f"{curve['family']} ({curve['clock']})" if curve else "none"
        half = half_life_of(term) if curve else "–"
        lines.append(f"| {term['name']} | {term['weight']:.4g} | {shown} | {half} |")
    span = data["profile"]["span"]
    lines += [
        "",
        "### What it was made from",
        "",
        f"Data: {data['events']:,} events, {data['users']:,} users, {data['items']:,} items, "
        f"{span['first'][:10]} to {span['last'][:10]}, fingerprint `{story['fingerprint'][:24]}`. "
        f"Fitted on everything before the cut at {story['cuts'][1]:.0%} of the events; "
        f"{evaluation['queries']:,} test queries of {evaluation['users']:,} users ({story['protocol']}). "
        f"{evaluation['audit']['verdict']}",
        *(["", evaluation["rolling"]["trend"]["sentence"]] if "rolling" in evaluation else []),
        "",
        "Compared with "
        + ", ".join(f"`{names[name]}`" for name in others)
        + " on the same queries, paired, with "
        "intervals that resample users. The report and the configuration are with the run.",
    ]
    return "\n".join(lines)
