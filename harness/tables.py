"""Results as tables in the terminal, for when nobody asked for JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from harness.report.words import compact, intervals_of_their_own, share, stamp

out = Console(highlight=False, markup=False, emoji=False)
"""Titles, ids and paths are shown as they are: a `[b]` or `:car:` in one is no markup."""

HALF_LIVES_SHOWN = 4  # of a schedule; JSON and the report have them all
EVENTS_SHOWN = 5  # behind an item; JSON has them all


def pairs(result: dict[str, Any]) -> None:
    """Name and value, a line each."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in result.items():
        table.add_row(name, str(value))
    out.print(table)


def show_evaluation(result: dict[str, Any]) -> None:
    out.print(
        f"{result['protocol']}, {result['stage']}: {result['queries']:,} queries of {result['users']:,} users, "
        f"catalogue of {result['catalogue']:,}"
    )
    table = _table("metric", "mean", "low", "high")
    for name, figure in result["metrics"].items():
        table.add_row(name, *(_shown(figure[key]) for key in ("mean", "low", "high")))
    out.print(table)
    for note in intervals_of_their_own(result["metrics"]):
        out.print(note)
    if "seeds" in result:
        seeds = result["seeds"]["seeds"]
        table = _table("over seeds", "mean", "low", "high", *map(str, seeds))
        for name, figure in result["seeds"]["metrics"].items():
            cells = [*(figure[key] for key in ("mean", "low", "high")), *figure["by_seed"]]
            table.add_row(name, *(f"{cell:.4f}" for cell in cells))
        out.print(table)
    if "rolling" in result:
        _show_rolling(result["rolling"])
    out.print(result["audit"]["verdict"])
    for notice in result["audit"]["notices"]:
        out.print(f"- {notice['sentence']}")
    if "off_policy" in result:
        show_off_policy(result["off_policy"])


def _show_rolling(rolling: dict[str, Any]) -> None:
    metric = rolling["metric"]
    table = _table("period from", "queries", "age of the model", metric, "low", "high")
    for cut in rolling["cuts"]:
        figures = [f"{cut['metrics'][metric][key]:.4f}" for key in ("mean", "low", "high")]
        table.add_row(stamp(cut["start"]), f"{cut['queries']:,}", f"{cut['age_days']:.1f} days", *figures)
    out.print(table)
    if rolling["trend"]["by_age"]:
        table = _table("older by", "queries", f"{metric} over the freshest", "low", "high", "p")
        for each in rolling["trend"]["by_age"]:
            figures = [f"{each[key]:+.4f}" for key in ("difference", "low", "high")]
            table.add_row(f"{each['days']:.1f} days", f"{each['queries']:,}", *figures, f"{each['p']:.4f}")
        out.print(table)
    out.print(rolling["trend"]["sentence"])


def show_off_policy(result: dict[str, Any]) -> None:
    logged, sequence, figures = result["logged"], result["sequence"], result["estimators"]
    shared = next(iter(figures.values()))["diagnostics"]
    weight = shared["mean_weight"]
    out.print(
        f"\noff-policy, {result['policy']}: {result['rounds']:,} rounds of {result['users']:,} users\n"
        f"logged mean reward {logged['mean']:.4f} [{logged['low']:.4f}, {logged['high']:.4f}]; "
        f"mean weight {weight['mean']:.2f} [{weight['low']:.2f}, {weight['high']:.2f}]; "
        f"{shared['outside_support']:.1%} of the policy outside the log"
    )
    counts = {"effective": "effective_sample", "rewarded": "rewarded_sample", "largest": "largest_weight"}
    table = _table("estimator", "mean", "low", "high", *counts, "supported")
    why: dict[str, list[str]] = {}
    for name, figure in figures.items():
        cells = [f"{figure[key]:.4f}" for key in ("mean", "low", "high")]
        cells += [f"{figure['diagnostics'][key]:.1f}" for key in counts.values()]
        table.add_row(name, *cells, "yes" if figure["supported"] else "NO")
        if not figure["supported"]:
            why.setdefault(figure["why"], []).append(name)
    out.print(table)
    out.print(f"at any time of looking {sequence['low']:.4f} to {sequence['high']:.4f}")
    for reason, names in why.items():
        out.print(f"- not supported: {', '.join(names)}: {reason}")


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def show_comparison(result: dict[str, Any]) -> None:
    for entry in result["comparisons"]:
        shown = {"p": "p", "p (Wilcoxon)": "wilcoxon", "p (Holm)": "holm", "detectable": "detectable"}
        table = _table("metric", f"over {entry['against']}", "low", "high", *shown)
        for name, found in entry.items():
            if name != "against":
                figures = [f"{found[key]:+.4f}" for key in ("difference", "low", "high")]
                others = [_shown(found.get(key)) for key in shown.values()]
                table.add_row(name, *figures, *others)
        out.print(table)
    if result["audit"]["leaks"]:
        out.print(result["audit"]["verdict"])
    if "report" in result:
        out.print(f"report: {result['report']}")


def show_change(result: dict[str, Any]) -> None:
    found = result["agreement"]
    out.print(
        f"{result['before']} to {result['after']}, {result['sampled']:,} users at {result['at']}: "
        f"{found['overlap']['mean']:.1%} of a list stays, rank-biased overlap {found['rbo']['mean']:.2f}, "
        f"{found['same']:.1%} have the very same list\nreport: {result['report']}"
    )


def show_search(result: dict[str, Any]) -> None:
    table = _table("family", "clock", "half-life", "trials", "validation", "to the best", "low", "high")
    for entry in result["families"]:
        half = f"{entry['half_life']:.3g} {entry['unit']}" if entry["half_life"] else "–"
        differences = [f"{entry[key]:+.4f}" for key in ("difference", "low", "high")]
        table.add_row(
            entry["family"], entry["clock"], half, str(entry["trials"]), f"{entry['value']:.4f}", *differences
        )
    out.print(table)
    if result["schedule"]:
        _show_schedule(result["schedule"])
    counts = f"{result['trials']} trials, {result['failed']} failed, {result['stopped']} stopped early"
    trained = f"; {result['epochs']:g} epochs with those under `none`" if result["epochs"] else ""
    out.print(f"{counts}{trained}; best {result['best']['trial']}")


def _show_schedule(schedule: dict[str, Any]) -> None:
    """The settings of the best member, round by round, and the half-lives that its curves had."""
    steps = schedule["steps"]
    names = list(steps[0]["params"])
    half_lives = list(dict.fromkeys(name for step in steps for name in step["told"]))[:HALF_LIVES_SHOWN]
    table = _table("epochs", "by", *names, *(f"half-life of {name}" for name in half_lives), "validation")
    for step in steps:
        settings = [compact(step["params"][name]) for name in names]
        told = [compact(step["told"][name]) if name in step["told"] else "–" for name in half_lives]
        epochs = f"{step['begin'] + 1} to {step['until']}"
        table.add_row(epochs, step["member"], *settings, *told, _shown(step["value"]))
    out.print(table)
    again = schedule["replayed"]
    same = "the very same figures" if again["same"] else f"{again['difference']:+.4f} to the search"
    kept = ", ".join(
        f"{label} at its best after epoch {epoch}" for label, epoch in schedule["best_epoch"].items()
    )
    out.print(f"trained from the start by this schedule: {again['value']:.4f}, {same}; {kept}")


def show_decision(result: dict[str, Any]) -> None:
    out.print(
        f"{result['name']} v{result['version']}: {'promoted' if result['promoted'] else 'not promoted'}"
    )
    for reason in result["reasons"]:
        out.print(f"- {reason}")


def show_models(result: dict[str, Any]) -> None:
    table = _table("model", "version", "aliases", "metrics", "family")
    for model in result["models"]:
        for version in model["versions"]:
            tags = version["tags"]
            table.add_row(
                model["name"],
                str(version["version"]),
                ", ".join(version["aliases"]),
                tags.get("metrics", ""),
                tags.get("family", ""),
            )
    out.print(table)
    for model in result["models"]:
        for version in model["versions"]:
            if version["live_since"]:
                out.print(f"live: {model['name']} v{version['version']}, since {version['live_since']}")
        if refused := model["last_refused"]:
            out.print(f"last refused: {model['name']} v{refused['version']}, {refused['decided']}")
            for rule in refused["lacked"]:
                out.print(f"- {rule}")


def show_recommendation(result: dict[str, Any]) -> None:
    model = result["model"]
    out.print(f"{model['name']} v{model['version']} for user {result['user']} at {result['at']}")
    table = _table("item", "title", "score")
    for entry in result["items"]:
        table.add_row(entry["item"], entry["title"], f"{entry['score']:.4f}")
        if "terms" in entry:
            _explain(table, entry)
    out.print(table)


def _explain(table: Table, entry: dict[str, Any]) -> None:
    """What holds an item up: its terms, the events that add most, and what all other lines leave of the score."""
    table.add_row("", " + ".join(f"{name} {value:.4f}" for name, value in entry["terms"].items()), "")
    if "expected" in entry:
        table.add_row("", f"expected to be {share(entry['expected'])} of what is taken next", "")
    events = entry["events"]
    for event in events[:EVENTS_SHOWN]:
        left = ", ".join(f"{name} {amount:.3g}" for name, amount in event["left"].items())
        told = f"  {event['title'] or event['item']}, {event['age_days']:.1f} days ago ({left} left)"
        table.add_row("", told, f"{sum(event['adds'].values()):+.4f}")
    if others := events[EVENTS_SHOWN:]:
        adds = sum(sum(event["adds"].values()) for event in others)
        table.add_row("", f"  {len(others)} more events", f"{adds:+.4f}")
    for name, rest in entry["rest"].items():
        table.add_row("", f"  {name}, not by single events", f"{rest:+.4f}")


def show_run(result: dict[str, Any]) -> None:
    show_evaluation(result["evaluation"])
    out.print()
    out.print(result["verdict"]["sentence"])
    for reason in result["verdict"]["reasons"]:
        out.print(f"- {reason}")
    model = result["model"]
    aliases = ", ".join(model["aliases"])
    out.print(f"{model['name']} v{model['version']} ({aliases})\nreport: {result['report']}")


def show_checks(result: dict[str, Any]) -> None:
    table = _table("check", "", "found")
    for entry in result["checks"]:
        table.add_row(entry["check"], "well" if entry["well"] else "mend", entry["found"])
        if not entry["well"]:
            table.add_row("", "→", entry["mend"])
    out.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table
