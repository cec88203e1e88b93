"""Where a search finds a former one: beside it under `work`, at a path, or with a version of the registry."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ConfigurationError
from harness.settings import RunSettings
from trainers.search.warm import Former

RECORD_FILE = "search.json"
"""The artifact of a run that holds its search's trials."""
TRIALS = "trials"
"""Of a run's folder, where its searches keep what is finished."""


def former_of(settings: RunSettings) -> Former | None:
    """The search that `search.warm_start` names, if it names one.

    Raises:
        ConfigurationError: there is no such search.
    """
    where = settings.search.warm_start if settings.search else None
    if where is None:
        return None
    try:
        for folder in (Path(where) / TRIALS, Path(where), Path(settings.work) / where / TRIALS):
            if folder.is_dir():
                return Former.of_folder(folder, where)
        if settings.registry:
            return _registered(settings.registry.name, where)
        return Former.of_folder(Path(settings.work) / where / TRIALS, where)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _registered(name: str, which: str) -> Former:
    import mlflow  # here: it takes seconds, and most searches do not ask for it

    from harness.registry.registry import Registry

    registry = Registry(name)
    version = registry.find(which)
    files = {file.path for file in registry.client.list_artifacts(version.run_id)} if version.run_id else ()
    if RECORD_FILE not in files:
        raise ValueError(
            f"`search.warm_start` must be a version whose run searched, but v{version.version} of `{name}` "
            "brings no trials; name a run's folder."
        )
    record = mlflow.artifacts.load_dict(f"runs:/{version.run_id}/{RECORD_FILE}")
    return Former.of_record(record, f"`{name}` v{version.version}")
