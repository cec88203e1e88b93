"""Open Bandit Pipeline, asked in an environment of its own (`make off-policy` makes it)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from evaluators.arrays import Floats

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-rivals" / "obp" / "bin" / "python"
WORK = ROOT / ".lethe" / "off_policy"


def ask(*arguments: str | Path) -> None:
    """Run `obp_side.py` with these arguments."""
    if not PYTHON.exists():
        raise SystemExit(f"there is no {PYTHON}; `make off-policy` makes it.")
    # The environment's packages must not meet Lethe's.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([PYTHON, HERE / "obp_side.py", *map(str, arguments)], env=environment, check=True)


def told(what: str, name: str, given: dict[str, Any]) -> Any:
    """What the side makes of arrays; they are handed over in `WORK`."""
    WORK.mkdir(parents=True, exist_ok=True)
    sent, made = WORK / f"{what}-{name}.npz", WORK / f"{what}-{name}.json"
    np.savez_compressed(sent, **given)
    ask(what, sent, made)
    return json.loads(made.read_text())


def live_policy(campaign: str) -> Floats:
    """[A, 3] the Bernoulli TS policy that was live, by slot; drawn once."""
    made = WORK / f"bts-{campaign}.npz"
    if not made.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        ask("policy", made, campaign)
    with np.load(made) as file:
        policy: Floats = file["policy"]
    return policy
