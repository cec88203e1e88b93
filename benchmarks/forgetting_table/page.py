"""The page of the table: figures with intervals, and when each was measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from benchmarks.forgetting_table.picture import draw
from benchmarks.forgetting_table.plan import NONE, Plan
from benchmarks.forgetting_table.results import Results
from harness.report.words import duration, duration_interval

UNITS = {"time": "days", "moments": "moments"}
UNTOLD = "makes no difference told from chance"


def write(out: Path, source: Path, plan: Plan, results: dict[str, Results]) -> None:
    """Write the page and its pictures beside it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Which forgetting curve, in which term, on which data",
        "",
        f"Made by `python -m benchmarks.forgetting_table {source}`; each part says when and with what.",
        "",
        f"Every curve of a closed-form term had {plan.trials} fits on validation, of a neural term one training in "
        "which the curve is learned by gradient from where likelihood puts it; the chosen one was fitted anew before "
        "the test cut and asked all test queries once (protocol `successive`, full catalogue, NDCG@10, means over "
        f"{len(plan.seeds)} seed(s)). Intervals are 95 % and resample users. A likelihood is of held-out choices, in "
        "nats an event: the curve alone, fitted to training moments and judged on validation queries.",
        "",
    ]
    lines += _overview(plan, results)
    missing = []
    for name, found in results.items():
        if not found.curves:
            missing.append(name)
            continue
        lines += [f"## {name}", "", *_curves(found.curves), *_ranking(plan, name, found)]
        picture = out.with_name(f"{out.stem}-{name}.png")
        draw(picture, plan, found)
        lines += [f"![Curves by family, and what they gain by term on {name}]({picture.name})", ""]
    if missing:
        lines += [f"Not measured yet: {', '.join(missing)}.", ""]
    out.write_text("\n".join(lines))


def _overview(plan: Plan, results: dict[str, Results]) -> list[str]:
    """All data sets side by side, and of which terms forgetting pays."""
    known = {name: found for name, found in results.items() if found.curves and found.terms}
    if not known:
        return []
    rows = [
        ["", *known],
        ["---"] * (len(known) + 1),
        ["curve, by likelihood", *(_simplest(of) for of in known.values())],
    ]
    best = {name: max(of.terms, key=lambda term: of.terms[term]["figure"][0]) for name, of in known.items()}
    verdicts: dict[str, list[str]] = {"pays": [], UNTOLD: [], "harms": []}
    for term in (term.label for term in plan.terms if any(term.label in of.terms for of in known.values())):
        row = [f"`{term}`"]
        for name, found in known.items():
            if not (each := found.terms.get(term)) or len(each["curves"]) < 2:
                row.append("")
                continue
            curve, gain = _forgetting(each)
            figure = f"{each['figure'][0]:.4f}"
            row.append(f"{f'**{figure}**' if term == best[name] else figure}; {curve} {_span(gain)}")
            verdict = "pays" if gain[1] > 0 else "harms" if gain[2] < 0 else UNTOLD
            verdicts[verdict].append(f"`{term}` on {name}")
        rows.append(row)
    return [
        "## Which wins where",
        "",
        "By term, NDCG@10 on test under the curve that validation chose, `none` among them (bold: the best term); "
        "after it, the curve with forgetting that validation liked best, and its NDCG@10 less that of `none`.",
        "",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"- Forgetting {verdict}: {', '.join(of)}." for verdict, of in verdicts.items() if of),
        "",
    ]


def _simplest(found: Results) -> str:
    """The curve that likelihood chooses, and its half-lives."""
    chosen = found.curves["chosen"]
    return f"{chosen}, {_lives(found.curves['standings'][chosen]['half_life'])}"


def _forgetting(term: dict[str, Any]) -> tuple[str, list[float]]:
    """The curve that validation liked best beside `none`, and what it gained on test."""
    curves = {curve: of for curve, of in term["curves"].items() if curve != NONE}
    best = max(curves, key=lambda curve: curves[curve]["validation"])
    return best, curves[best]["over_none"]


def _curves(curves: dict[str, Any]) -> list[str]:
    standings = curves["standings"]
    best, *others = standings
    alike = sum(not standings[name]["apart"] for name in others)
    lines = [
        f"The best curve by likelihood is **{best}**; the data cannot tell {alike} other(s) from it, and of all these "
        f"**{curves['chosen']}** is the simplest. "
        + (
            "Forgetting pays."
            if curves["pays"]
            else "Forgetting does not pay: no curve is better than `none` beyond chance."
        ),
        "",
        "| curve | log-likelihood | behind the best | over `none` | half-life | told apart |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in standings.items():
        lines.append(
            f"| {name} | {each['log_likelihood']:.4f} | {_span(each['behind'])} | "
            f"{_span(each['gain'])} | {_lives(each['half_life'])} | {'yes' if each['apart'] else 'no'} |"
        )
    return [*lines, "", *_when({"The curves": curves["made"]})]


def _ranking(plan: Plan, name: str, found: Results) -> list[str]:
    lines = [
        "NDCG@10 on test. By term, the curve that validation chose, beside `none` and the best `trend`:",
        "",
        "| term | chosen on validation | NDCG@10 | over `none` | over `trend` |",
        "|---|---|---|---|---|",
    ]
    tables = []
    labels = plan.terms_of(name)
    measured = [term for term in labels if term in found.terms]
    for term in measured:
        each = found.terms[term]
        figure, low, high = each["figure"]
        lines.append(
            f"| `{term}` | {each['chosen']} | {figure:.4f} [{low:.4f}, {high:.4f}] | "
            f"{_span(each['over_none'])} | {_span(each['over_trend']) if each['over_trend'] else ''} |"
        )
        tables += [
            f"<details><summary><code>{term}</code>: all {len(each['curves'])} curves</summary>",
            "",
            "| curve | validation | test | over `none` |",
            "|---|---|---|---|",
            *(
                f"| {curve} | {of['validation']:.4f} | {of['test']:.4f} | {_span(of['over_none'])} |"
                for curve, of in sorted(each["curves"].items(), key=lambda item: -item[1]["validation"])
            ),
            "",
            "</details>",
            "",
        ]
    if missing := [f"`{term}`" for term in labels if term not in found.terms]:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    return [*lines, "", *_when({f"`{term}`": found.terms[term]["made"] for term in measured}), *tables]


def _when(parts: dict[str, dict[str, str]]) -> list[str]:
    """One line for all that was measured alike."""
    together: dict[tuple[str, str], list[str]] = {}
    for what, made in parts.items():
        together.setdefault((made["date"], made["machine"]), []).append(what)
    return [f"{', '.join(names)}: {date}, {machine}.  " for (date, machine), names in together.items()] + [""]


def _lives(lives: dict[str, list[float]]) -> str:
    return " · ".join(_life(clock, *values) for clock, values in lives.items())


def _life(clock: str, value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "never"
    unit = UNITS[clock]
    if not math.isfinite(high):
        return f"{duration(value, unit)} (not determined)"
    return duration_interval(value, low, high, unit)


def _span(values: list[float]) -> str:
    return f"{values[0]:+.4f} [{values[1]:+.4f}, {values[2]:+.4f}]"
