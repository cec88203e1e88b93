"""Rounds of a log that says how its items were chosen: what was shown, with which probability, what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from harness.data.errors import DataError
from harness.data.read import RawBatch, read_batches
from harness.data.settings import DataSettings
from harness.data.sources import find_sources
from harness.data.store import Store
from harness.data.validate import as_text, numbers, validate


class RoundColumns(BaseModel):
    """Which column of the event log holds what of a round."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    propensity: str = Field(min_length=1)
    reward: str = Field(min_length=1)
    position: str | None = Field(None, min_length=1)


@dataclass(frozen=True)
class Rounds:
    """N rounds by time: user, item [N] numbers of the store; time [N] unix seconds; reward, propensity [N];
    position [N], numbers 0, 1, … of the positions by their text, all 0 without a column."""

    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    reward: npt.NDArray[np.float64]
    propensity: npt.NDArray[np.float64]
    position: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: npt.NDArray[np.generic]) -> Rounds:
        return Rounds(*(array[index] for array in vars(self).values()))


def read_rounds(settings: DataSettings, columns: RoundColumns, store: Store) -> Rounds:
    """The rounds of the log that `store` was packed of; rows that were set aside there are left out here.

    Raises `DataError` for a column that is not there, a reward that is no number, and a propensity outside (0, 1].
    """
    frames = [
        frame
        for source in find_sources(settings.event_locations)
        for batch in read_batches(source, _roles(settings, columns))
        for frame in _frames(batch, settings)
    ]
    frame = pd.concat(frames).sort_values("time", kind="stable")
    return Rounds(
        pd.Index(store.users).get_indexer(pd.Index(frame.user, dtype=object)).astype(np.int64),
        pd.Index(store.item_ids).get_indexer(pd.Index(frame.item, dtype=object)).astype(np.int64),
        frame.time.to_numpy(np.float64),
        frame.reward.to_numpy(np.float64),
        frame.propensity.to_numpy(np.float64),
        pd.factorize(frame.position, sort=True)[0].astype(np.int64),
    )


def _roles(settings: DataSettings, columns: RoundColumns) -> dict[str, str]:
    given = settings.columns.model_dump() | columns.model_dump()
    return {role: name for role, name in given.items() if name is not None}


def _frames(batch: RawBatch, settings: DataSettings) -> Iterator[pd.DataFrame]:
    validated = validate(batch, settings)
    kept = validated.kept
    if not kept.any():
        return
    reward, propensity = (numbers(batch.columns[role])[kept] for role in ("reward", "propensity"))
    rows = batch.rows[kept]
    _check("reward", "a finite number", np.isfinite(reward), reward, rows, batch.file)
    fine = (propensity > 0) & (propensity <= 1)
    _check("propensity", "in (0, 1]", fine, propensity, rows, batch.file)
    good = validated.good
    text = (
        as_text(batch.columns["position"])[0].to_numpy(zero_copy_only=False)
        if "position" in batch.columns
        else None
    )
    yield pd.DataFrame(
        {
            "user": good.column("user").to_numpy(),
            "item": good.column("item").to_numpy(),
            "time": good.column("time").to_numpy(),
            "reward": reward,
            "propensity": propensity,
            "position": "" if text is None else text[kept],
        }
    )


def _check(
    name: str,
    rule: str,
    fine: npt.NDArray[np.bool_],
    values: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int64],
    file: str,
) -> None:
    if not fine.all():
        at = int(np.argmin(fine))
        raise DataError(
            f"Every {name} must be {rule}, but row {rows[at]} of `{file}` has {values[at]}. Correct it, or "
            f"`off_policy.columns.{name}`."
        )
