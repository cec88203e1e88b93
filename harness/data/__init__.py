"""Event logs: read, validated, packed by user, found again by content, appended to.

`prepare(settings)` does all of it and returns a `Store`; `open_store(path)` opens one that is there;
`summarise(store)` describes it for the report.
"""

from harness.data.errors import DataError
from harness.data.manifest import Counts
from harness.data.pack import prepare
from harness.data.settings import EVENT, ColumnSettings, DataSettings
from harness.data.store import Store, open_store
from harness.data.summary import summarise

__all__ = [
    "EVENT",
    "ColumnSettings",
    "Counts",
    "DataError",
    "DataSettings",
    "Store",
    "open_store",
    "prepare",
    "summarise",
]
