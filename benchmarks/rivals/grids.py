"""What is tried of each rival on validation: one setting after the other, the best value is kept before the next.

A name that stands twice is tried again once the others are known. The settings that a rival starts from are its
authors' (see its class), ages and lengths in days and moments.
"""

from __future__ import annotations

from typing import Any

from benchmarks.rivals.actr import ActR
from benchmarks.rivals.base import Rival
from benchmarks.rivals.slist import Slist
from benchmarks.rivals.tale import Tale
from benchmarks.rivals.tifuknn import TifuKnn

Steps = list[tuple[str, list[Any]]]

RIVALS: dict[str, tuple[type[Rival], Steps]] = {
    "TALE": (
        Tale,
        [
            ("tau", [1.0, 2.0, 4.0, 8.0, 32.0, 128.0]),
            ("l2", [20.0, 100.0, 500.0, 2000.0]),
            ("tau_train", [0.5, 7.0, 60.0]),
            ("floor", [0.02, 0.1, 0.4]),
            ("beta", [0.0, -0.25, -0.5]),
            ("once", [True, False]),
            ("tau", [1.0, 2.0, 4.0, 8.0, 32.0, 128.0]),
        ],
    ),
    "SLIST": (
        Slist,
        [
            ("tau", [1.0, 2.0, 4.0, 8.0, 32.0, 128.0]),
            ("l2", [0.01, 0.1, 1.0, 10.0, 100.0]),
            ("alpha", [0.2, 0.5, 0.8]),
            ("tau_train", [1.0, 2.0, 4.0, 16.0]),
            ("tau_user", [16.0, 64.0, 256.0, 1e6]),
            ("tau", [1.0, 2.0, 4.0, 8.0, 32.0, 128.0]),
        ],
    ),
    "TIFU-KNN": (
        TifuKnn,
        [
            ("alpha", [0.1, 0.3, 0.5, 0.7, 0.9]),
            ("k", [30, 100, 300, 900]),
            ("within", [0.8, 0.9, 0.95, 1.0]),
            ("across", [0.5, 0.7, 0.9, 1.0]),
            ("groups", [3, 7, 20]),
            ("alpha", [0.1, 0.3, 0.5, 0.7, 0.9]),
        ],
    ),
    "ACT-R": (
        ActR,
        [
            ("decay", [0.3, 0.5, 0.7, 1.0, 1.5]),
            ("spreading", [0.0, 0.1, 0.3, 0.5, 1.0, 3.0]),
            ("context", [1, 3, 10]),
            ("matching", [0.0, 0.1, 0.3, 1.0, 3.0]),
            ("decay", [0.3, 0.5, 0.7, 1.0, 1.5]),
            ("spreading", [0.0, 0.1, 0.3, 0.5, 1.0, 3.0]),
        ],
    ),
}
