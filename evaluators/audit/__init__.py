"""Could a model fitted on this split have seen the future of what it is asked? Counted, not assumed."""

from evaluators.audit.evidence import Events
from evaluators.audit.findings import LEAKS, NOTICES, Finding
from evaluators.audit.result import Audit, audit

__all__ = ["LEAKS", "NOTICES", "Audit", "Events", "Finding", "audit"]
