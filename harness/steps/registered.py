"""Registered models: which one a configuration or a name means, and how a version answers the queries of a stage."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ConfigurationError
from harness.registry.registry import Registry
from harness.serving.package import Package, Reader
from harness.settings import RunSettings, load
from harness.stage import ForeignScorer, Stage


def registry_of(settings: RunSettings) -> Registry:
    """The registered model of a configuration."""
    if settings.registry is None:
        raise ConfigurationError(
            "This command needs `registry.name`: what the model is called in the registry."
        )
    return Registry(settings.registry.name)


def registered(name: str) -> str:
    """The name of a registered model, said itself or by a configuration."""
    return registry_of(load(name)).name if Path(name).suffix in (".yaml", ".yml") else name


def foreign(stage: Stage, package: Package) -> ForeignScorer:
    """A registered model, asked about a stage's queries."""
    return ForeignScorer(stage, Reader(package, stage.store))


def saw_test(package: Package, stage: Stage, name: str) -> str | None:
    """Why a registered model's figures on a stage's queries cannot be trusted, if so."""
    if package.about["trained_until"] < stage.split.start:
        return None
    return f"{name} was trained on events of the {stage.split.stage} period and cannot be compared on it"


def opened(registry: Registry, which: str, stage: Stage) -> Package:
    """A version's package; ConfigurationError where it was trained on what the stage asks."""
    version = registry.find(which)
    package = registry.package(version)
    if problem := saw_test(package, stage, f"version {version.version}"):
        raise ConfigurationError(f"{problem}; use queries later than its training.")
    return package
