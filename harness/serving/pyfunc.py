"""The model as MLflow serves it: histories or user ids in, ranked items out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType, Array

from harness.serving.lists import seconds
from harness.serving.package import ARTIFACT, Package
from trainers.histories import Histories

Places = npt.NDArray[np.int64]

SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(DataType.string, "user", required=False),
            ColSpec(Array(DataType.string), "items", required=False),
            ColSpec(Array(AnyType()), "times", required=False),
            ColSpec(AnyType(), "at", required=False),
            ColSpec(Array(AnyType()), "weights", required=False),
            ColSpec(Array(DataType.string), "types", required=False),
        ]
    ),
    outputs=Schema([ColSpec(Array(DataType.string), "items"), ColSpec(Array(DataType.double), "scores")]),
    params=ParamSchema(
        [
            ParamSpec("k", DataType.long, 10),
            ParamSpec("at", DataType.double, None),
            ParamSpec("exclude_seen", DataType.boolean, None),
        ]
    ),
)
"""A row is a query, at the moment `at` (unix seconds): either of a `user` that the package knows, or of a history, the
ids and times (unix seconds) of its events. Events at or after the moment are left out. `weights` matter to terms that
count them only. `types` are names of event types; a row without them has the model's first one throughout.

Params: `k` is how many items to return; `at` the moment of rows that have none; `exclude_seen` whether what is in the
history is left out, by default where the log has no repeats.

MLflow refuses whole numbers where a signature says double, and fractions where it says long. Times are numbers of
either kind, which only its type for anything lets through: `ServedModel` looks at them itself."""


class ServedModel(mlflow.pyfunc.PythonModel):
    """`predict` returns a row for each query: the items, best first, and their scores."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts[ARTIFACT])
        if ".." in folder.parts:  # MLflow takes the place from its `MLmodel` as it stands there
            raise ValueError(f"a model's files must lie in its folder, but {folder} leads out of it.")
        self.package = Package.load(folder)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        try:
            return self._answer(model_input, params or {})
        except ValueError as error:  # else the server hides what is wrong behind a stack trace
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def _answer(self, rows: pd.DataFrame, params: dict[str, Any]) -> pd.DataFrame:
        k = int(params.get("k", 10))
        if k < 1:
            raise ValueError(f"`k >= 1` must hold, but got {k}.")
        by_user = _asked_by_user(rows)
        moments = _moments(rows, params.get("at"))
        answer: dict[int, tuple[list[str], list[float]]] = {}
        for asked, read in ((by_user, self._known), (~by_user, self._listed)):
            places = np.flatnonzero(asked)
            if len(places):
                columns, scores = self.package.top(
                    read(rows, places, moments), k, exclude_seen=params.get("exclude_seen")
                )
                for place, row, values in zip(places.tolist(), columns, scores, strict=True):
                    items = [self.package.items[column] for column in row if column >= 0]
                    answer[place] = items, values[row >= 0].tolist()
        return pd.DataFrame([answer[place] for place in range(len(rows))], columns=["items", "scores"])

    def _known(self, rows: pd.DataFrame, places: Places, at: list[float]) -> Histories:
        users = _column(rows, "user")
        return self.package.histories_of([users[place] for place in places], [at[place] for place in places])

    def _listed(self, rows: pd.DataFrame, places: Places, at: list[float]) -> Histories:
        """Of all rows, those of users without events, so that what is wrong is found in its row."""
        items, times = ([value or [] for value in _lists(rows, name)] for name in ("items", "times"))
        lists = list(zip(items, times, _lists(rows, "weights"), strict=True))
        return self.package.histories(lists, at, _lists(rows, "types")).at_queries(places)


def _asked_by_user(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """[n] whether a row names a user; ValueError where one names neither a user nor a history, or both."""
    named = np.array([value is not None for value in _column(rows, "user")], bool)
    both = zip(named, _column(rows, "items"), _column(rows, "times"), strict=True)
    for row, (user, items, times) in enumerate(both):
        if user != (items is None) or user != (times is None):
            given = [name for name in ("user", "items", "times") if _column(rows, name)[row] is not None]
            raise ValueError(
                f"a row must have either `user` or both `items` and `times`, but row {row} has "
                f"({', '.join(given)})."
            )
    return named


def _moments(rows: pd.DataFrame, common: float | None) -> list[float]:
    """The moment of each row, `common` where it has none of its own; ValueError where there is none at all."""
    found = [common if value is None else value for value in _column(rows, "at")]
    if None in found:
        raise ValueError(
            f"a row must have a moment in unix seconds, but row {found.index(None)} has none; give `at` with the row, "
            "or for all of them in `params`."
        )
    return [seconds(value, row) for row, value in enumerate(found)]


def _column(rows: pd.DataFrame, name: str) -> list[Any]:
    """An optional column: None for a row that has no value there."""
    values: list[Any] = rows[name].tolist() if name in rows else [None] * len(rows)
    return [None if np.ndim(value) == 0 and pd.isna(value) else value for value in values]


def _lists(rows: pd.DataFrame, name: str) -> list[list[Any] | None]:
    """An optional column of lists."""
    return [None if value is None else list(value) for value in _column(rows, name)]
