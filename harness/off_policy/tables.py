"""What a policy would have earned, by every estimator, as a table in the terminal."""

from __future__ import annotations

from typing import Any

from harness.tables import out, table


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
    rows = table("estimator", "mean", "low", "high", *counts, "supported")
    why: dict[str, list[str]] = {}
    for name, figure in figures.items():
        cells = [f"{figure[key]:.4f}" for key in ("mean", "low", "high")]
        cells += [f"{figure['diagnostics'][key]:.1f}" for key in counts.values()]
        rows.add_row(name, *cells, "yes" if figure["supported"] else "NO")
        if not figure["supported"]:
            why.setdefault(figure["why"], []).append(name)
    out.print(rows)
    out.print(f"at any time of looking {sequence['low']:.4f} to {sequence['high']:.4f}")
    for reason, names in why.items():
        out.print(f"- not supported: {', '.join(names)}: {reason}")
