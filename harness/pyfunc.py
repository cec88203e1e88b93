"""The model as MLflow serves it: histories in, ranked items out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array

from harness.package import Package

ARTIFACT = "package"

SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(Array(DataType.string), "items"),
            ColSpec(Array(DataType.double), "times"),
            ColSpec(DataType.double, "at"),
            ColSpec(Array(DataType.double), "weights", required=False),
            ColSpec(Array(DataType.string), "types", required=False),
        ]
    ),
    outputs=Schema([ColSpec(Array(DataType.string), "items"), ColSpec(Array(DataType.double), "scores")]),
    params=ParamSchema([ParamSpec("k", DataType.long, 10)]),
)
"""A row is a query: the ids and times (unix seconds) of a user's events, and the moment to answer. Events at or after
the moment are left out. `weights` matter to terms that count them only. `types` are names of event types; a row without
them has the model's first one throughout. `k` is how many items to return."""


class ServedModel(mlflow.pyfunc.PythonModel):
    """`predict` returns a row for each query: the items, best first, and their scores."""

    def load_context(self, context: Any) -> None:
        self.package = Package.load(Path(context.artifacts[ARTIFACT]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        k = int((params or {}).get("k", 10))
        if k < 1:
            raise ValueError(f"`k >= 1` must hold, but got {k}.")
        rows = zip(model_input["items"], model_input["times"], _lists(model_input, "weights"), strict=True)
        histories = self.package.histories(
            [(list(items), list(times), weights) for items, times, weights in rows],
            model_input["at"].tolist(),
            _lists(model_input, "types"),
        )
        columns, scores = self.package.top(histories, k)
        return pd.DataFrame(
            {
                "items": [[self.package.items[c] for c in row if c >= 0] for row in columns],
                "scores": [
                    [float(s) for c, s in zip(row, line, strict=True) if c >= 0]
                    for row, line in zip(columns, scores, strict=True)
                ],
            }
        )


def _lists(rows: pd.DataFrame, column: str) -> list[list[Any] | None]:
    """An optional column of lists: None for a row that has none."""
    values = rows[column] if column in rows else [None] * len(rows)
    return [None if value is None else list(value) for value in values]
