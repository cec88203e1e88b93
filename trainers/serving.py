"""Retention compiled for serving: every curve a few exponentials, every user a state that an event updates in constant
work, however many came before.

`compiled` replaces the curves of the closed-form terms and says how far scores may move; `UserState` holds what is left
of one user's events under such a model.
"""

from __future__ import annotations

import copy
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainers.encoders import TermSettings
from trainers.encoders.base import Array, Encoder, Scores
from trainers.encoders.linear import Linear
from trainers.encoders.own import Own
from trainers.encoders.recurrent import Recurrent
from trainers.encoders.trend import Trend
from trainers.forgetting import Forgetting
from trainers.forgetting.compiled import Compiled, compile
from trainers.histories import NOTHING_READ, Histories
from trainers.log import DAY
from trainers.model import Model, scaled

if TYPE_CHECKING:
    from trainers.networks.bank import Bank

Floats = npt.NDArray[np.float64]

ROUNDING = float(np.finfo(np.float32).eps)
"""Scores are float32, those of the exact curve too: each step may be off by half of this."""


# The model


def _own_reach(encoder: Any, amounts: sp.csr_array) -> Floats:
    return amounts.toarray()


def _linear_reach(encoder: Any, amounts: sp.csr_array) -> Floats:
    reach: Floats = amounts @ np.abs(encoder.matrix)
    return reach


REACH: dict[str, Callable[[Any, sp.csr_array], Floats]] = {"own": _own_reach, "linear": _linear_reach}
"""By kind of the terms that are compiled, how far amounts ≥ 0 of items [Q, I] can move scores [Q, I]."""


@dataclass(frozen=True)
class CompiledModel:
    """A model whose `own` and `linear` terms forget by exponentials.

    Attributes:
        exact: the model that it stands for.
        model: the same with compiled curves, to score histories with. What it saves is the exact one, curves that were
            learned included, so compile again after loading.
        errors: by label, the largest error of R of each compiled term, at age 0 and at the ages it was compiled for.
    """

    exact: Model
    model: Model
    errors: dict[str, float]

    def bound(self, histories: Histories) -> Floats:
        """[Q, I] at most so far is each score from the exact one:

            Σ_terms weight · Σ_e error · w_e · (own: e is of item i; linear: |B[e, i]|),

        and what float32 may round away. w_e is 1 where the term does not read weights. For an event of an age outside
        those compiled for, such as a few seconds, its own |R_compiled − R| counts where that is larger.

        With `scale: standard`, from off_i = Σ_e … above, deviation σ and result z of the compiled scores, and
        r = (mean off²)^½ ≥ |σ_exact − σ|: (off_i + mean off + |z_i|·r) / (σ − r), or √(I − 1) + |z_i| if less.
        """
        total = np.zeros((len(histories), self.model.items))
        terms = zip(self.model.settings.terms, self.exact.encoders, self.model.encoders, strict=True)
        for term, exact, encoder in terms:
            if term.label not in self.errors:
                continue
            error = self._event_errors(exact.forgetting, encoder.forgetting, histories)
            events = np.diff(histories.offsets)[histories.query]
            error += (events + 2) * ROUNDING * (1 + error)
            amounts = sp.csr_array(
                (error * histories.weights if term.weights else error, (histories.query, histories.columns)),
                shape=total.shape,
            )
            off = REACH[term.kind](encoder, amounts)
            total += term.weight * (
                off if term.scale == "raw" else _standard_off(off, encoder.score(histories))
            )
        return total

    @staticmethod
    def _event_errors(exact: Forgetting, found: Any, histories: Histories) -> Floats:
        """[E] the error of R of each event."""
        ages = {"time": histories.days, "moments": histories.moments}
        outside = np.zeros(len(histories.columns), bool)
        for clock, (low, high) in found.ages.items():
            outside |= ((ages[clock] > 0) & (ages[clock] < low)) | (ages[clock] > high)
        error = np.full(len(outside), found.error)
        if outside.any():
            days, moments = histories.days[outside], histories.moments[outside]
            off = np.abs(found.retention(days, moments) - exact.retention(days, moments))
            error[outside] = np.maximum(found.error, off)
        return error

    @cached_property
    def served(self) -> list[tuple[TermSettings, Served, str]]:
        """Each term of a weight above 0, how it is served, and the name of the memory that it reads: the label of the
        first term that reads it.

        Raises:
            ValueError: a term has no state of constant size.
        """
        names: dict[Hashable, str] = {}
        found: list[tuple[TermSettings, Served, str]] = []
        for term, encoder in zip(self.model.settings.terms, self.model.encoders, strict=True):
            if term.weight > 0:
                one = _served(term, encoder)
                found.append((term, one, names.setdefault(one.key, term.label)))
        return found


def compiled(
    model: Model, states: int = 12, ages: Mapping[str, tuple[float, float]] | None = None
) -> CompiledModel:
    """`model` with the curve of every `own` and `linear` term of a weight above 0 as exponentials; other terms stay.

    Args:
        states: at most so many for each factor of a curve; one on both clocks has up to the square.
        ages: by clock, the ages that matter; `forgetting.compiled.AGES` where left out, from a minute to ten years.

    Raises:
        ValueError: a term tells curves apart by `scope`.
    """
    curves: dict[Forgetting, Compiled] = {}
    encoders: list[Encoder] = []
    errors: dict[str, float] = {}
    for term, encoder in zip(model.settings.terms, model.encoders, strict=True):
        if term.weight > 0 and term.kind in REACH:
            if term.forgetting.scope != "all":
                raise ValueError(
                    f"`{term.label}` has a curve for each {term.forgetting.scope}, but one curve is compiled for all; "
                    "give its forgetting `scope: all`, or score with the model itself."
                )
            curve = encoder.forgetting
            if curve not in curves:
                curves[curve] = compile(curve, states, ages)
                # Compiled curves have no values; with those of the curve the encoder saves what it had learned.
                curves[curve].values = dict(curve.values)
            encoder = copy.copy(encoder)
            encoder.forgetting = curves[curve]
            errors[term.label] = curves[curve].error
        encoders.append(encoder)
    return CompiledModel(model, Model(model.settings, encoders, model.items), errors)


def _standard_off(off: Floats, scores: Scores) -> Floats:
    """[Q, I] how far standardised scores may be off, from how far the raw ones may be."""
    plain = scores.astype(np.float64)
    centred = plain - plain.mean(1, keepdims=True)
    spread = plain.std(1, keepdims=True)
    tiny = float(np.finfo(np.float32).tiny)
    z = np.abs(centred) / np.maximum(spread, tiny)
    moved = np.sqrt((off**2).mean(1, keepdims=True))
    left = spread - moved
    near = (off + off.mean(1, keepdims=True) + z * moved) / np.where(left > tiny, left, np.nan)
    far = math.sqrt(max(scores.shape[1] - 1, 1)) + z
    least = np.where(moved == 0, 0.0, np.fmin(near, far))
    return np.asarray(least + ROUNDING * (z + least))


# What is left of one user's events


class Memory:
    """What a term keeps of one user; this one keeps nothing."""

    def add(self, column: int, weight: float, at: float, moment: int) -> None:
        """An event at `at` (unix seconds), in the user's moment of that number."""

    def arrays(self) -> dict[str, Array]:
        """All of it, by name."""
        return {}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Take back what `arrays` gave."""

    @property
    def nbytes(self) -> int:
        return 0


class ProfileMemory(Memory):
    """The decayed profile: K states for each item that the user has had, each as of the latest event of its item."""

    FIRST = 4  # items that there is room for at first; it doubles

    def __init__(self, curve: Compiled, weighted: bool) -> None:
        self.curve, self.weighted = curve, weighted
        self._slots: dict[int, int] = {}
        self._allot(self.FIRST)

    def _allot(self, room: int) -> None:
        self._columns = np.zeros(room, np.int32)
        self._at = np.zeros(room)
        self._moments = np.zeros(room, np.int64)
        self._amounts = np.zeros((room, self.curve.states))

    def add(self, column: int, weight: float, at: float, moment: int) -> None:
        slot = self._slots.get(column)
        if slot is None:
            slot = self._new(column)
        else:
            self._amounts[slot] *= self.curve.decay(
                (at - self._at[slot]) / DAY, float(moment - self._moments[slot])
            )
        self._amounts[slot] += weight if self.weighted else 1.0
        self._at[slot], self._moments[slot] = at, moment

    def _new(self, column: int) -> int:
        slot = len(self._slots)
        if slot == len(self._columns):
            held = self.arrays()
            self._allot(2 * slot)
            self._take(held)
        self._slots[column], self._columns[slot] = slot, column
        return slot

    def read(self, at: float, moment: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """The items [S] that the user has had, and what is left of each [S]."""
        count, curve = len(self._slots), self.curve
        days, moments = (at - self._at[:count]) / DAY, moment - self._moments[:count]
        lost = np.outer(days, curve.day_rates) + np.outer(moments, curve.moment_rates)
        left = (self._amounts[:count] * np.exp(-lost)) @ curve.weights
        return self._columns[:count], left.astype(np.float32)

    def arrays(self) -> dict[str, Array]:
        count = len(self._slots)
        found: dict[str, Array] = {
            "columns": self._columns[:count].copy(),
            "at": self._at[:count].copy(),
            "moments": self._moments[:count].copy(),
            "amounts": self._amounts[:count].copy(),
        }
        return found

    def restore(self, arrays: Mapping[str, Array]) -> None:
        count = len(arrays["columns"])
        _check_shape("amounts", arrays["amounts"], (count, self.curve.states))
        self._allot(max(count, self.FIRST))
        self._take(arrays)
        self._slots = {column: slot for slot, column in enumerate(self._columns[:count].tolist())}

    def _take(self, arrays: Mapping[str, Array]) -> None:
        count = len(arrays["columns"])
        self._columns[:count] = arrays["columns"]
        self._at[:count] = arrays["at"]
        self._moments[:count] = arrays["moments"]
        self._amounts[:count] = arrays["amounts"]

    @property
    def nbytes(self) -> int:
        held = (self._columns, self._at, self._moments, self._amounts)
        return sum(array.nbytes for array in held) + sys.getsizeof(self._slots)


class BankMemory(Memory):
    """The states of a bank: Σ exp(−rate_k·age)·e(item) and Σ exp(−rate_k·age), as of the latest event."""

    def __init__(self, day_rates: Floats, moment_rates: Floats, embedding: npt.NDArray[np.float32]) -> None:
        self._day_rates, self._moment_rates, self._embedding = day_rates, moment_rates, embedding
        self._sums = np.zeros((len(day_rates), embedding.shape[1]))
        self._masses = np.zeros(len(day_rates))
        self._at, self._moment, self.events = -math.inf, 0, 0

    def _kept(self, at: float, moment: int) -> Floats:
        """[K] what is left of the states."""
        if not self.events:
            return np.ones_like(self._masses)
        lost = self._day_rates * ((at - self._at) / DAY) + self._moment_rates * (moment - self._moment)
        return np.asarray(np.exp(-lost))

    def add(self, column: int, weight: float, at: float, moment: int) -> None:
        kept = self._kept(at, moment)
        self._sums *= kept[:, None]
        self._sums += self._embedding[column]
        self._masses *= kept
        self._masses += 1.0
        self._at, self._moment = at, moment
        self.events += 1

    def read(self, at: float, moment: int) -> tuple[Floats, Floats, float]:
        """The states [K, D], their masses [K], and the days since the last event."""
        kept = self._kept(at, moment)
        days = (at - self._at) / DAY if self.events else NOTHING_READ
        return self._sums * kept[:, None], self._masses * kept, days

    def arrays(self) -> dict[str, Array]:
        return {
            "sums": self._sums.copy(),
            "masses": self._masses.copy(),
            "at": np.array([self._at]),
            "counts": np.array([self._moment, self.events], np.int64),
        }

    def restore(self, arrays: Mapping[str, Array]) -> None:
        _check_shape("sums", arrays["sums"], self._sums.shape)
        self._sums = np.array(arrays["sums"], np.float64)
        self._masses = np.array(arrays["masses"], np.float64)
        self._at = float(np.asarray(arrays["at"], np.float64)[0])
        self._moment, self.events = (int(number) for number in np.asarray(arrays["counts"], np.int64))

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays().values())


def _check_shape(name: str, array: Array, wanted: tuple[int, ...]) -> None:
    if array.shape != wanted:
        raise ValueError(
            f"`{name}` of a user's state must have the shape {wanted}, but has {array.shape}; it was kept under "
            "another model: replay the user's events."
        )


# Terms as they are served


class Served(ABC):
    """A term that needs constant work for an event: `memory` begins one user's, `score` reads it. Terms of one `key`
    share a memory."""

    key: Hashable

    @abstractmethod
    def memory(self) -> Memory:
        """That of a user without events."""

    @abstractmethod
    def score(self, memory: Any, at: float, moment: int) -> Scores:
        """[I] the raw score at `at`, of which `moment` is the number of the latest moment before it."""


class ServedTrend(Served):
    def __init__(self, encoder: Trend) -> None:
        self.key = None
        self.popularity = encoder.popularity

    def memory(self) -> Memory:
        return Memory()

    def score(self, memory: Memory, at: float, moment: int) -> Scores:
        scores: Scores = self.popularity
        return scores


class ServedOwn(Served):
    def __init__(self, encoder: Own | Linear) -> None:
        assert isinstance(encoder.forgetting, Compiled)
        self.curve, self.weighted, self.items = (
            encoder.forgetting,
            bool(encoder.settings.weights),
            encoder.items,
        )
        self.key = (self.curve, self.weighted)

    def memory(self) -> ProfileMemory:
        return ProfileMemory(self.curve, self.weighted)

    def score(self, memory: ProfileMemory, at: float, moment: int) -> Scores:
        columns, left = memory.read(at, moment)
        scores = np.zeros(self.items, np.float32)
        scores[columns] = left
        return scores


class ServedLinear(ServedOwn):
    def __init__(self, encoder: Linear) -> None:
        super().__init__(encoder)
        self.matrix = encoder.matrix

    def score(self, memory: ProfileMemory, at: float, moment: int) -> Scores:
        columns, left = memory.read(at, moment)
        scores: Scores = left @ self.matrix[columns]
        return scores


class ServedRecurrent(Served):
    """The bank's own states, which are exponentials already. It reads the whole history, the encoder the latest
    `max_history` events: they agree as long as no more came."""

    module: Bank

    def __init__(self, encoder: Recurrent) -> None:
        import torch

        from trainers.networks.bank import Bank

        if encoder.settings.own is not None:
            raise ValueError(
                f"`{encoder.settings.label}` adds learned retention of the user's own items (`own`), which is no sum "
                "of exponentials; train it without `own` beside a term of the kind `own`, or score its histories with "
                "`CompiledModel.model`."
            )
        assert isinstance(encoder.module, Bank)
        self.key = ("recurrent", encoder.settings.label)
        self.module = encoder.module.eval()
        with torch.no_grad():
            by_clock = [
                np.zeros(0) if decay is None else decay.rates().cpu().numpy().astype(np.float64)
                for decay in (self.module.days, self.module.moments)
            ]
            self.embedding = self.module.embedding.weight.detach().cpu().numpy()
        days, moments = by_clock
        self.day_rates = np.concatenate((days, 0 * moments))
        self.moment_rates = np.concatenate((0 * days, moments))

    def memory(self) -> BankMemory:
        return BankMemory(self.day_rates, self.moment_rates, self.embedding)

    def score(self, memory: BankMemory, at: float, moment: int) -> Scores:
        import torch

        from trainers.networks.habit import MINUTE

        module = self.module.eval()
        device = module.bias.device
        sums, masses, days = memory.read(at, moment)
        felt = np.concatenate((np.log(masses + 1e-4), [math.log(days + MINUTE), math.log1p(memory.events)]))
        with torch.inference_mode():
            states_KD = torch.from_numpy(sums / np.sqrt(masses + 1e-6)[:, None]).float().to(device)
            gate_K = module.gate + module.felt(0.2 * torch.from_numpy(felt).float().to(device))
            mixed_D = module.mix((states_KD * gate_K[:, None]).flatten())
            interest_D = mixed_D + module.inner(mixed_D)
            logits_I = torch.addmv(module.bias, module.embedding.weight, interest_D)
            scores: Scores = logits_I.cpu().numpy()
        return scores


SERVED: dict[str, Callable[[Any], Served]] = {
    "trend": ServedTrend,
    "own": ServedOwn,
    "linear": ServedLinear,
    "recurrent": ServedRecurrent,
}
"""By kind, the terms that have a state of constant size."""


def _served(term: TermSettings, encoder: Encoder) -> Served:
    if term.kind not in SERVED:
        raise ValueError(
            f"`{term.label}` of the kind `{term.kind}` reads its history anew every time and has no state to keep; "
            f"take one of ({', '.join(SERVED)}), or score its histories with `CompiledModel.model`."
        )
    return SERVED[term.kind](encoder)


# One user


class UserState:
    """One user under a compiled model of `trend`, `own`, `linear` and `recurrent` terms: an event is constant work, and
    what is held grows with the items that the user has had, not with events.

    Times are unix seconds. Events come in the order of time; those of one time form one moment. Scores are asked for
    strictly after the latest event, which is never history of its own second: `scores` refuses an `at` that is not
    later. They are those of `CompiledModel.model` for the same events, as near as float32 is to both (`standard`
    magnifies this where a term hardly tells items apart), with one exception: a `recurrent` term reads all events here
    and the latest `max_history` there.

    >>> from trainers.model import ModelSettings
    >>> curve = {"family": "exponential", "half_life": 1}
    >>> settings = ModelSettings.model_validate({"terms": [{"kind": "own", "forgetting": curve}]})
    >>> state = UserState(compiled(Model(settings, [Own(settings.terms[0], 3)], 3)))
    >>> state.update(2, 1.0, at=0)
    >>> state.update(2, 1.0, at=86_400)
    >>> state.scores(at=2 * 86_400).round(6).tolist()
    [0.0, 0.0, 0.75]
    """

    def __init__(self, model: CompiledModel) -> None:
        self.model = model
        self.latest, self.moment = -math.inf, 0
        self._memories: dict[str, Memory] = {}
        for _, served, name in model.served:
            if name not in self._memories:
                self._memories[name] = served.memory()

    def update(self, column: int, weight: float, at: float) -> None:
        """An event of the catalogue's item at `column`. -1, an item outside the catalogue, counts as a moment and no
        more, as in `Histories`."""
        items = self.model.model.items
        if not -1 <= column < items:
            raise ValueError(f"`-1 <= column < {items}` must hold, but got {column}.")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"`weight` must be a finite number >= 0, but got {weight}.")
        if not (math.isfinite(at) and at >= self.latest):
            raise ValueError(f"events must come in the order of time, but got {at} after {self.latest}.")
        self.moment += at > self.latest
        self.latest = float(at)
        if column >= 0:
            for memory in self._memories.values():
                memory.add(int(column), weight, self.latest, self.moment)

    def scores(self, at: float) -> Floats:
        """[I] Σ weight · scale(score) over the terms, at a time strictly after the latest event."""
        if not (math.isfinite(at) and at > self.latest):
            raise ValueError(
                f"`at` must lie after the latest event, {self.latest}, but got {at}; an event of the same second is no "
                "history: ask before updating."
            )
        total = np.zeros(self.model.model.items)
        for term, served, name in self.model.served:
            raw = served.score(self._memories[name], at, self.moment)
            total += np.multiply(scaled(term, raw[None])[0], term.weight, dtype=np.float64)
        return total

    @property
    def nbytes(self) -> int:
        """Of the arrays, with the room that they have for more items, and of the index of items."""
        return sum(memory.nbytes for memory in self._memories.values())

    def to_arrays(self) -> dict[str, Array]:
        """The whole state, for a file or a store; `from_arrays` resumes exactly."""
        found: dict[str, Array] = {
            "latest": np.array([self.latest]),
            "moment": np.array([self.moment], np.int64),
        }
        for name, memory in self._memories.items():
            found |= {f"{name}.{part}": array for part, array in memory.arrays().items()}
        return found

    @classmethod
    def from_arrays(cls, model: CompiledModel, arrays: Mapping[str, Array]) -> UserState:
        """The state that `to_arrays` gave, under the same model.

        Raises:
            ValueError: arrays are missing, or of shapes that another model has.
        """
        state = cls(model)
        wanted = state.to_arrays()
        if set(wanted) != set(arrays):
            raise ValueError(
                f"the arrays of a user's state must be ({', '.join(sorted(wanted))}), but got "
                f"({', '.join(sorted(arrays))}); it was kept under another model: replay the user's events."
            )
        state.latest = float(np.asarray(arrays["latest"], np.float64)[0])
        state.moment = int(np.asarray(arrays["moment"], np.int64)[0])
        for name, memory in state._memories.items():
            memory.restore({part: arrays[f"{name}.{part}"] for part in memory.arrays()})
        return state
