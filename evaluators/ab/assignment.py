"""Which arm a user is dealt to: by a hash, so that every machine and every day says the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from evaluators.arrays import Ints


def check_shares(shares: Sequence[float]) -> None:
    """Raises ValueError unless shares [K] are two or more positive numbers that sum to 1."""
    if len(shares) < 2 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(
            f"shares must be two or more positive numbers that sum to 1, but got {list(shares)}; use [0.5, 0.5]."
        )


def assign(users: Iterable[Any], shares: Sequence[float], salt: str) -> Ints:
    """The arm of each user: 0 … K-1, a function of salt, id and shares alone, whatever the order and the machine.

    users [U] ids; shares [K]; a user's place in [0, 1) is blake2b("salt:id") / 2^64, and arm k is the stretch from
    shares[0] + … + shares[k-1] to that plus shares[k] (Kohavi, Tang & Xu 2020, "Trustworthy Online Controlled
    Experiments", 4). Experiments with different salts are dealt independently.

    >>> assign(range(8), (0.5, 0.5), "spring").tolist(), assign(["6", "7"], (0.5, 0.5), "spring").tolist()
    ([1, 1, 1, 0, 0, 0, 1, 0], [1, 0])
    >>> assign(range(8), (0.5, 0.2, 0.3), "spring").tolist()  # arm 0 stays arm 0 where another arm is split
    [2, 1, 1, 0, 0, 0, 2, 0]
    """
    check_shares(shares)
    ids = users.tolist() if isinstance(users, np.ndarray) else users
    places = [
        int.from_bytes(blake2b(f"{salt}:{i}".encode(), digest_size=8).digest(), "big") / 2**64 for i in ids
    ]
    edges = np.cumsum(shares[:-1])
    return np.searchsorted(edges, np.asarray(places), side="right").astype(np.int64)
