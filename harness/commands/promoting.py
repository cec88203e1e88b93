"""`lethe promote`: the gate asked anew, of a version that is registered."""

from __future__ import annotations

from typing import Any

from harness.errors import ConfigurationError
from harness.gate.decision import decide
from harness.gate.segments import pairs
from harness.registry.promotion import CHAMPION
from harness.settings import RunSettings
from harness.steps.judging import gate_metrics
from harness.steps.registered import foreign, opened, registry_of, saw_test
from harness.steps.workshop import Workshop


def promote_version(settings: RunSettings, which: str) -> dict[str, Any]:
    """Let the gate decide anew, on the configuration's test queries; `none` is not searched again for that."""
    registry = registry_of(settings)
    assert settings.registry is not None
    version = registry.find(which)
    champion = registry.aliased(CHAMPION)
    if champion is None:
        raise ConfigurationError(
            f"`{registry.name}` has no champion to compare with; `lethe run` compares a first model with `none`."
        )
    if version.tags.get("leaks") == "true":
        found = version.tags.get("leaks_found", "the future")
        raise ConfigurationError(
            f"version {version.version} was judged on a split that leaks ({found}); no decision is taken on it."
        )
    if champion.version == version.version:
        raise ConfigurationError(f"version {version.version} of `{registry.name}` is the champion already.")
    workshop = Workshop.open(settings)
    stage = workshop.test
    metric = settings.gate_metric
    metrics, ks = gate_metrics(settings)
    mine, live = opened(registry, str(version.version), stage), registry.package(champion)
    gate = settings.registry.gate
    pair = (
        stage.evaluate(foreign(stage, mine), metrics, ks),
        stage.evaluate(foreign(stage, live), metrics, ks),
    )
    decision = decide(
        gate,
        metric,
        *pair,
        against=f"champion v{champion.version}",
        audit=stage.audit(),
        trained_until=mine.about["trained_until"],
        segments=pairs(stage, gate.worst_segment, *pair),
        saw_test=saw_test(live, stage, f"champion v{champion.version}"),
    )
    decision = registry.settle(version, decision, champion)
    return {"name": registry.name, "version": version.version, **decision.to_dict()}
