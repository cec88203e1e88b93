"""What a model version says of itself in the registry, in Markdown with the verdict first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from harness.cost import Cost
from harness.report.parts import half_life_of
from harness.report.words import counted, day, intervals, of

Story = dict[str, Any]
GAP = "&emsp;"


def markdown(story: Story) -> str:
    """The description of a model version from the story of its run."""
    sections = {
        "On the test queries": _figures(story),
        "What it forgets": _curves(story),
        "What it was made from": _origin(story),
        "How it was chosen": _choice(story),
        "What it cost": _cost(story["cost"]),
        "Limits of use": (f"- {limit}" for limit in _limits(story)),
        "What to type": (f"- {name}: `{said}`" for name, said in _commands(story)),
    }
    lines = [*brief(story).splitlines()]
    for title, content in sections.items():
        lines += ["", f"### {title}", "", *content]
    return "\n".join(lines)


def brief(story: Story) -> str:
    """What a newcomer asks first: why it won, what it was made from, who is live, how to go back. A run says it too."""
    verdict, data, curve = story["verdict"], story["data"], story["fading"]["sentence"]
    span = data["profile"]["span"]
    live, back = _standing(story)
    lines = [
        verdict["sentence"],
        "",
        "- **Why:**",
        *(f"    - {reason}" for reason in verdict["reasons"]),
        f"- **Made from:** {data['events']:,} events of {data['users']:,} users and {data['items']:,} items, "
        f"{span['first'][:10]} to {span['last'][:10]}, by `{story['config_path']}`",
        f"- **Forgets:** {curve[:1].lower()}{curve[1:]}",
        f"- **Live:** {live}",
        f"- **Go back:** {back}",
        f"- **See:** [the report]({_artifact(story, 'report.html')}) and "
        f"[the configuration]({_artifact(story, 'configuration.yaml')}) of its run",
    ]
    return "\n".join(lines)


def _standing(story: Story) -> tuple[str, str]:
    """Who was live after the gate had spoken, and how to go back. Aliases may move later, a description does not."""
    met = next(
        (entry["against"] for entry in story["comparisons"] if entry["against"].startswith("champion")), ""
    )
    before, config = met.removeprefix("champion "), story["config_path"]
    live = "the version that has the alias `champion` above; when this was written, "
    if not story["verdict"]["promoted"]:
        ask = f"`lethe promote {config} {story['model']['version']}` asks the gate once more"
        return f"{live}{before or 'none'}", f"not needed, it replaced nothing; {ask}"
    back = f"`lethe rollback {config}` makes"
    if before:
        return f"{live}this one, in place of {before}", f"{back} {before} champion again"
    return (
        f"{live}this one, the first",
        f"it replaced nothing; once another replaced it, {back} it champion again",
    )


def _artifact(story: Story, file: str) -> str:
    """Where MLflow's pages show a file of the run, whatever the address of the server."""
    return f"#/experiments/{story['experiment_id']}/runs/{story['run_id']}/artifacts/{file}"


def _figures(story: Story) -> Iterator[str]:
    """Each metric with its interval, and what it is above champion, `none` and `trend`."""
    comparisons = story["comparisons"]
    names = [entry["against"].split()[0] for entry in comparisons]
    rows = (
        [metric, of(figure), *(_gain(entry.get(metric)) for entry in comparisons)]
        for metric, figure in story["evaluation"]["metrics"].items()
    )
    yield from _table(["metric", "this model", *(f"over {name}" for name in names)], rows)
    yield ""
    yield (
        f"Compared with {', '.join(f'`{name}`' for name in names)} on the same queries, paired. Brackets are "
        f"{intervals(story.get('intervals'))}. The report and the configuration are with the run."
    )


def _gain(found: dict[str, Any] | None) -> str:
    return f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]" if found else ""


def _curves(story: Story) -> Iterator[str]:
    yield from (story["fading"]["sentence"], "")
    rows = []
    for term in story["terms"]:
        curve = term["forgetting"]
        shown = f"{curve['family']} ({curve['clock']})" if curve else "none"
        rows.append([term["name"], f"{term['weight']:.4g}", shown, half_life_of(term) if curve else "–"])
    yield from _table(["term", "weight", "forgetting", "half-life"], rows)


def _origin(story: Story) -> Iterator[str]:
    """The data and their window, the split and its audit."""
    data, evaluation = story["data"], story["evaluation"]
    span = data["profile"]["span"]
    yield (
        f"Data: {data['events']:,} events, {data['users']:,} users, {data['items']:,} items, {span['first'][:10]} to "
        f"{span['last'][:10]}, fingerprint `{story['fingerprint'][:24]}`. Fitted on everything before the cut at "
        f"{story['cuts'][1]:.0%} of the events, the newest of {day(story['trained_until'])}; "
        f"{evaluation['queries']:,} test queries of {evaluation['users']:,} users ({story['protocol']}). "
        f"{evaluation['audit']['verdict']}"
    )
    if evaluation["audit"]["notices"]:
        yield from ("", *(f"- {notice['sentence']}" for notice in evaluation["audit"]["notices"]))
    if "rolling" in evaluation:
        yield from ("", evaluation["rolling"]["trend"]["sentence"])


def _choice(story: Story) -> Iterator[str]:
    """The search it came from, fine-tuning, and whom it met."""
    search, tuned = story["search"], story["finetune"]
    if search:
        best = search["best"]
        stopped = f", {search['stopped']} stopped early" if search.get("stopped") else ""
        yield (
            f"- Search: {counted(search['trials'], 'trial')}, {search['failed']} failed{stopped}; the best, "
            f"{best['trial']}, reached {best['value']:.4f} on validation."
        )
    else:
        yield "- No search: the model is as the configuration says."
    if tuned:
        did = "kept" if tuned["kept"] else "dropped"
        yield (
            f"- Fine-tuned from its own pretraining on the last {tuned['window_days']:g} days, and {did}: "
            f"{tuned['reason'].rstrip('.')}. No registered version is its parent."
        )
    else:
        yield "- Not fine-tuned; no registered version is its parent."
    met = [entry["against"] for entry in story["comparisons"] if entry["against"].startswith("champion")]
    yield (
        f"- The gate compared it with {met[0]}."
        if met
        else "- It met no champion; the gate compared it with `none`."
    )


def _cost(cost: dict[str, Any]) -> Iterator[str]:
    """What was counted, and one estimate with its assumption."""
    spent = Cost.of(cost)
    starts = "one start" if spent.starts == 1 else f"all {spent.starts} starts"
    yield (
        f"{spent.words()}: of {starts} of this run, up to its registration, in its process, all below it, and the "
        "workers of a Ray cluster that it joined. Memory is of the machine that it was started on."
    )
    if cost["energy_wh"] is not None:
        yield ""
        yield (
            f"About {cost['energy_wh']:.2g} Wh, if a busy core takes {cost['watts_per_core']:g} W (assumed, not "
            "measured; memory, idle machines, cooling and GPUs are not in it)."
        )


def _limits(story: Story) -> Iterator[str]:
    audit, repeats = story["evaluation"]["audit"], story["repeats"]
    yield (
        f"It knows nothing after {day(story['trained_until'])}: items that are new since are never recommended, and "
        "the figures above are of the time right after."
    )
    if not any(term["kind"] == "trend" and term["weight"] for term in story["terms"]):
        yield "It has no `trend`: of a user without a history it knows nothing."
    yield (
        "Items that a user had may be recommended again."
        if repeats
        else "Items that a user had are left out (`repeats: false`)."
    )
    yield "Its figures say how it foresees what people took in this log, not what they would take if it were shown."
    if audit["leaks"]:
        yield "The split leaks: the figures are too good, and decide nothing."


def _commands(story: Story) -> Iterator[tuple[str, str]]:
    name, version = story["name"], story["model"]["version"]
    yield "serve it", f"mlflow models serve -m models:/{name}/{version} --env-manager local"
    yield "go back, where it is live", f"lethe rollback {story['config_path']}"
    yield "make it again", f"lethe run {story['config_path']} --fresh"
    yield "all of the above, and who is live", f"lethe models {name} --show {version}"


def _table(heads: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """MLflow's pages leave no room between the columns of a table: each but the first brings its own."""
    yield f"| {f' | {GAP}'.join(heads)} |"
    yield "|:--" * len(heads) + "|"
    for row in rows:
        yield f"| {f' | {GAP}'.join(row)} |"
