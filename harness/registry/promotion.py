"""Who is champion and who was before: changed by one process at a time, and whole when one is killed.

What makes a version champion is one statement of MLflow, the setting of an alias. The champions before it are written
as a tag of the registered model: first what will be, then the alias. Whoever reads the tag goes down to the version
that the alias names, so of a change that was killed halfway nothing is left but an entry that nobody reads.

What a registry can promise. MLflow has no "set the alias if it still says 3", so changes take turns by a lock: a
registered model of a name of its own, which a database (SQLite, PostgreSQL, or behind an MLflow server) makes once,
whoever asks. A registry of plain files looks before it makes, and can let two through at the same instant. A lock whose
holder is silent for `STALE` seconds is taken over; a holder that was only slow looks once more right before it writes,
which leaves it the length of one statement to be wrong in, and reads the alias back afterwards.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from harness.errors import IncompleteError

CHAMPION = "champion"
# Of the registered model: version numbers, oldest first, the present one last.
CHAMPIONS_TAG = "lethe.champions"
SINCE_TAG = "lethe.live_since"  # of a version: when it last became champion, ISO 8601
LOCK_TAG = "lethe.lock"
KEPT = 1000
STALE = 60.0
PAUSE = 0.1


class Overtaken(IncompleteError):
    """Another promotion or rollback was there first."""


def lock_name(name: str) -> str:
    """What the lock of a model is called; no model of Lethe has a dot in its name."""
    return f"{name}.lock"


def settled(written: Sequence[int], champion: int | None) -> list[int]:
    """The champions up to the present one: what a killed change left above it is dropped.

    A champion that nobody wrote down was set by hand, and is followed back to nothing.

    >>> settled([1, 2, 3], 2)  # 3 was never set, or was taken back
    [1, 2]
    >>> settled([1, 2, 1], 1), settled([1, 2], 5), settled([1], None)
    ([1, 2, 1], [5], [])
    """
    if champion is None:
        return []
    if champion not in written:
        return [champion]
    return list(written[: len(written) - list(reversed(written)).index(champion)])


def champions(model: RegisteredModel) -> list[int]:
    """The champions of a registered model, oldest first; the present one is last."""
    written = [int(number) for number in model.tags.get(CHAMPIONS_TAG, "").split()]
    number = model.aliases.get(CHAMPION)
    return settled(written, None if number is None else int(number))


class Champions:
    """The champions of one registered model, while nobody else changes them (`alone`)."""

    def __init__(self, client: MlflowClient, name: str, mine: Callable[[], bool]) -> None:
        self._client, self._name, self._mine = client, name, mine
        self.numbers = champions(client.get_registered_model(name))

    @property
    def present(self) -> int | None:
        return self.numbers[-1] if self.numbers else None

    def add(self, number: int) -> None:
        """Make a version champion. Overtaken where somebody took the lock over and was faster."""
        self._change([*self.numbers, number], number)

    def back(self) -> None:
        """Make the champion before the present one champion."""
        self._change(self.numbers, self.numbers[-2])  # written anew, without what a killed change left in it

    def _change(self, written: list[int], number: int) -> None:
        text = " ".join(map(str, written[-KEPT:]))
        self._hold()
        self._client.set_registered_model_tag(self._name, CHAMPIONS_TAG, text)
        # Before the alias: of who is not champion nobody reads it.
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._client.set_model_version_tag(self._name, str(number), SINCE_TAG, now)
        self._hold()
        self._client.set_registered_model_alias(self._name, CHAMPION, str(number))
        self.numbers = champions(self._client.get_registered_model(self._name))
        if self.present != number:
            raise Overtaken(f"version {self.present} of `{self._name}` became champion at the same moment")

    def _hold(self) -> None:
        if not self._mine():
            raise Overtaken(f"another process took the promotion lock of `{self._name}` over")


@contextlib.contextmanager
def alone(client: MlflowClient, name: str, patience: float = 2 * STALE) -> Iterator[Champions]:
    """The champions of a model, for one process at a time; IncompleteError where the wait is longer than `patience`."""
    lock, token = lock_name(name), uuid.uuid4().hex

    def mine() -> bool:
        found = _find(client, lock)
        return found is not None and found.tags.get(LOCK_TAG) == token

    until = time.monotonic() + patience
    while not _made(client, lock, token) and not mine():  # mine: an answer was lost, and MLflow asked again
        if time.monotonic() > until:
            raise IncompleteError(
                f"the champion of `{name}` is being changed by another process for {patience:g} seconds; "
                f"if there is none, delete the registered model `{lock}`."
            )
        _break_stale(client, lock)
        time.sleep(PAUSE)
    try:
        yield Champions(client, name, mine)
    finally:
        if mine():
            client.delete_registered_model(lock)


def _made(client: MlflowClient, lock: str, token: str) -> bool:
    try:
        client.create_registered_model(lock, {LOCK_TAG: token}, "Held while the champion changes.")
    except MlflowException as error:
        # MLflow looks up what is in the way before it says so, and a lock that was given back meanwhile is not there.
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):
            raise
        return False
    return True


def _break_stale(client: MlflowClient, lock: str) -> None:
    found = _find(client, lock)
    if found is not None and time.time() - found.creation_timestamp / 1000 > STALE:
        with contextlib.suppress(MlflowException):  # somebody else broke it
            client.delete_registered_model(lock)


def _find(client: MlflowClient, lock: str) -> RegisteredModel | None:
    try:
        return client.get_registered_model(lock)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
