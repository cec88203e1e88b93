"""What MLflow's tables show of a run, made of what the run tells of itself: its parameters, metrics and tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report.parts import half_life_of
from trainers.model import ModelSettings


def params(model: ModelSettings, story: Mapping[str, Any]) -> dict[str, Any]:
    """The data, the versions and the split, and every setting of every term of the chosen model."""
    found: dict[str, Any] = {
        "fingerprint": story["fingerprint"],
        **{f"version.{name}": number for name, number in story["versions"].items()},
        "protocol": story["protocol"],
        "cuts": tuple(story["cuts"]),
        "repeats": story["repeats"],
        "seed": story["seed"],
    }
    for term in model.terms:
        for name, value in term.model_dump(
            mode="json", exclude={"name", "training"}, exclude_none=True
        ).items():
            if isinstance(value, dict):
                found |= {f"{term.label}.{name}.{key}": inner for key, inner in value.items()}
            else:
                found[f"{term.label}.{name}"] = value
    return found


def metrics(story: Mapping[str, Any]) -> dict[str, float]:
    """The figures of the evaluation, of the comparisons and of the cost.

    MLflow's names allow no @: `ndcg_10`, `ndcg_10_low`, `ndcg_10_over_none`."""
    values: dict[str, float | None] = {}
    for name, figure in story["evaluation"]["metrics"].items():
        plain = name.replace("@", "_")
        values |= {plain: figure["mean"], f"{plain}_low": figure["low"], f"{plain}_high": figure["high"]}
    for entry in story["comparisons"]:
        against = entry["against"].split()[0]
        for name, found in entry.items():
            if name != "against":
                plain = f"{name.replace('@', '_')}_over_{against}"
                values |= {
                    plain: found["difference"],
                    f"{plain}_low": found["low"],
                    f"{plain}_high": found["high"],
                }
    values |= _cost(story["cost"])
    return {name: value for name, value in values.items() if value is not None}


def _cost(cost: Mapping[str, Any]) -> dict[str, float | None]:
    """`cost_seconds`, `cost_cpu_seconds`, …: what was counted, without what is assumed."""
    return {
        f"cost_{name}": cost[name]
        for name in ("starts", "seconds", "cpu_seconds", "gpu_seconds", "peak_memory")
    }


def tags(story: Mapping[str, Any]) -> dict[str, str]:
    """What the columns of MLflow's list of versions are made of."""
    metric = story["metric"]
    figure = story["evaluation"]["metrics"][metric]
    families = [term["forgetting"]["family"] for term in story["terms"] if term["forgetting"]]
    audit = story["evaluation"]["audit"]
    return {
        "metrics": f"{metric} {figure['mean']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]",
        "family": families[0] if families else "none",
        "half_life": next((half_life_of(term) for term in story["terms"] if term["forgetting"]), "none"),
        "trained_until": story["trained_until"],
        "data": story["fingerprint"][:24],
        "verdict": story["verdict"]["sentence"],
        "leaks": str(audit["leaks"]).lower(),
        **({"leaks_found": ", ".join(each["name"] for each in audit["findings"])} if audit["leaks"] else {}),
    }
