"""What may be asked of `lethe recommend`, and who answers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError
from harness.recommend.everyone import recommend_to_everyone
from harness.recommend.live import recommend_live
from harness.recommend.one import recommend_to
from harness.settings import RunSettings


@dataclass(frozen=True)
class Request:
    """The options of the command.

    Attributes:
        user: a user id; one that a live state has never heard of is a new user.
        everyone: all users of the log, into the Parquet file `out`.
        state: the folder of a live state, which is made where there is none.
        events: new events for the live state.
        at: the moment, by default now.
        k: how many items.
        which: version or alias of the registered model.
        explained: with the terms and events behind each item.
    """

    user: str | None = None
    everyone: bool = False
    out: Path | None = None
    state: Path | None = None
    events: Path | None = None
    at: str | None = None
    k: int = 10
    which: str = "champion"
    explained: bool = False

    def answer(self, settings: RunSettings) -> dict[str, Any]:
        """The JSON of the command; ConfigurationError where options do not go together."""
        if (self.user is not None) + self.everyone + (self.events is not None and self.user is None) != 1:
            raise ConfigurationError(
                "`lethe recommend` needs either `--user ID`, or `--all --out FILE`, or `--state DIR --events FILE`."
            )
        if self.everyone != (self.out is not None):
            raise ConfigurationError(
                "`--all` and `--out FILE` go together: everybody's lists become a Parquet file."
            )
        if self.events is not None and self.state is None:
            raise ConfigurationError("`--events` needs `--state DIR`, the live state that takes them in.")
        if self.explained and (self.everyone or self.state):
            raise ConfigurationError(
                "`--explain` is for one user of the log: leave out `--all` and `--state`."
            )
        if self.everyone and self.state:
            raise ConfigurationError("`--all` reads the log, not a live state: leave out `--state`.")
        if self.out is not None:
            return recommend_to_everyone(settings, self.out, self.at, self.k, self.which)
        if self.state is not None:
            return recommend_live(settings, self.state, self.events, self.user, self.at, self.k, self.which)
        assert self.user is not None
        return recommend_to(settings, self.user, self.at, self.k, self.which, self.explained)
