"""Queries of a packed log: one module a protocol, each dividing the log's moments in its own way."""

from evaluators.queries.asked import Queries, Seen
from evaluators.queries.base import Division, Protocol, Stage
from evaluators.queries.horizon import Horizon
from evaluators.queries.loo import LeaveOneOut
from evaluators.queries.rolling import Rolling
from evaluators.queries.splitting import PROTOCOLS, ProtocolName, Split, rolls, split
from evaluators.queries.successive import Successive

__all__ = [
    "PROTOCOLS",
    "Division",
    "Horizon",
    "LeaveOneOut",
    "Protocol",
    "ProtocolName",
    "Queries",
    "Rolling",
    "Seen",
    "Split",
    "Stage",
    "Successive",
    "rolls",
    "split",
]
