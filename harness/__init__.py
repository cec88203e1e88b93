"""What a person drives: configuration, data, the pipeline, the registry, the report, the command line.

Its rooms: `cli` is the command line; `job` a run, from the log to the registry, and `steps` what it is made of;
`commands` and `recommend` what is asked beside a run, `doctor` what a machine lacks; `settings` the configuration,
`data` the packed log, `stage` what of it is fitted on and what is asked; `gate`, `registry` and `serving` the life of
a version; `experiments` the simulated A/B test, `off_policy` what a model would have earned in logged rounds; `story`
what is told of a run, as plain data, and `report` its pages.
"""

from functools import cache

__version__ = "0.1.0"


@cache
def source_digest() -> str:
    """Names the code that fits and judges: work that other code left behind is not taken for its own."""
    import hashlib
    from pathlib import Path

    root = Path(__file__).parent.parent
    digest = hashlib.sha256(__version__.encode())
    for package in ("trainers", "evaluators", "harness"):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
