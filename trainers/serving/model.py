"""A model whose curves are compiled, and how far its scores may move by that."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from trainers.encoders import TermSettings
from trainers.encoders.base import Encoder, Scores
from trainers.forgetting import Forgetting
from trainers.forgetting.compiled import Compiled, compile
from trainers.histories import Histories
from trainers.model import Model
from trainers.serving.terms import Served, serve

Floats = npt.NDArray[np.float64]

ROUNDING = float(np.finfo(np.float32).eps)
"""Scores are float32, those of the exact curve too: each step may be off by half of this."""


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

    @property
    def curves(self) -> dict[str, Compiled]:
        """The compiled curves, by label."""
        terms = zip(self.model.settings.terms, self.model.encoders, strict=True)
        found = ((term.label, encoder.forgetting) for term, encoder in terms)
        return {label: curve for label, curve in found if isinstance(curve, Compiled)}

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
                one = serve(term, encoder)
                found.append((term, one, names.setdefault(one.key, term.label)))
        return found


def compiled(
    model: Model,
    states: int = 12,
    ages: Mapping[str, tuple[float, float]] | None = None,
    known: Mapping[str, Compiled] | None = None,
) -> CompiledModel:
    """`model` with the curve of every `own` and `linear` term of a weight above 0 as exponentials; other terms stay.

    Args:
        states: at most so many for each factor of a curve; one on both clocks has up to the square.
        ages: by clock, the ages that matter; `forgetting.compiled.AGES` where left out, from a minute to ten years.
        known: by label, curves that were compiled before (`CompiledModel.curves`), to be taken as they are.

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
                curves[curve] = known[term.label] if known else compile(curve, states, ages)
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
