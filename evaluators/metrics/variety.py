"""Whether a list is varied, and whether as varied as its user."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from evaluators.arrays import Floats
from evaluators.metrics.answers import Answers
from evaluators.metrics.base import AtK, QueryMetric

ALPHA = 0.01  # the share of the user's own distribution mixed into the list's, as in Steck 2018


class Diversity(AtK, QueryMetric):
    """Mean distance of two items of the list by their categories:  mean over pairs of 1 - |A ∩ B| / |A ∪ B|  (Jaccard).

    An item without categories shares none with any. Undefined for a list of fewer than two items.

    Source: Ziegler et al. 2005, "Improving recommendation lists through topic diversification".
    """

    title, reads_list, needs = "diversity", True, frozenset({"categories"})

    def values(self, answers: Answers) -> Floats:
        bits, found = answers.facts.categories.bits, np.full(len(answers.users), np.nan)
        sizes = np.bitwise_count(bits).sum(1, dtype=np.int64)
        for rows in answers.blocks(bits.shape[1] * 4):
            shown = answers.shown[rows, : self.k]
            total, pairs = np.zeros(len(shown)), np.zeros(len(shown))
            for one, other in combinations(range(shown.shape[1]), 2):
                a, b = shown[:, one], shown[:, other]
                there = (a >= 0) & (b >= 0)
                both = np.bitwise_count(bits[a] & bits[b]).sum(1, dtype=np.int64)
                total += np.where(there, 1 - both / np.maximum(sizes[a] + sizes[b] - both, 1), 0.0)
                pairs += there
            found[rows] = np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan)
        return found


class EmbeddingDiversity(AtK, QueryMetric):
    """Mean distance of two items of the list by their vectors:  mean over pairs of 1 - cos(a, b); a vector of zeros is
    at right angles to all. Undefined for a list of fewer than two items.

    Source: Ziegler et al. 2005, "Improving recommendation lists through topic diversification".
    """

    title, reads_list, needs = "embedding_diversity", True, frozenset({"embeddings"})
    bounds = (0.0, 2.0)

    def values(self, answers: Answers) -> Floats:
        vectors = np.asarray(answers.facts.embeddings, np.float64)
        length = np.sqrt((vectors**2).sum(1, keepdims=True))
        unit = vectors / np.where(length > 0, length, 1.0)
        found = np.full(len(answers.users), np.nan)
        for rows in answers.blocks(self.k * unit.shape[1]):
            shown = answers.shown[rows, : self.k]
            of_list = np.where((shown >= 0)[..., None], unit[shown], 0.0)
            count = (shown >= 0).sum(1)
            pairs = count * (count - 1)
            # |Σ v|² = Σ |v|² + Σ over ordered pairs of a·b
            close = (of_list.sum(1) ** 2).sum(1) - (of_list**2).sum((1, 2))
            found[rows] = np.where(pairs > 0, 1 - close / np.maximum(pairs, 1), np.nan)
        bounded: Floats = np.clip(found, 0.0, 2.0)
        return bounded


class Calibration(AtK, QueryMetric):
    """How far the list's categories are from those of the user's history, in nats:  Σ_g p_g·log(p_g / q̃_g),  q̃ =
    (1 - α)·q + α·p with α = 0.01; p: of the history's events, q: of the list, every item spreading 1 evenly over its
    categories. 0 where they agree; at most log(1/α) = 4.61. Undefined for an empty list, and where nothing in the
    history has a category.

    Source: Steck 2018, "Calibrated recommendations".
    """

    title, reads_list, better = "calibration", True, "lower"
    needs, bounds = frozenset({"categories", "histories"}), (0.0, float(np.log(1 / ALPHA)))

    def values(self, answers: Answers) -> Floats:
        categories, found = answers.facts.categories, np.full(len(answers.users), np.nan)
        for rows in answers.blocks(categories.count):
            owner, columns, _ = answers.facts.histories.of(answers.query[rows])
            shown = answers.shown[rows, : self.k]
            wanted = categories.shares(owner, columns, len(shown))
            query, place = np.nonzero(shown >= 0)
            given = categories.shares(query, shown[query, place], len(shown))
            mixed = (1 - ALPHA) * given + ALPHA * wanted
            ratio = np.divide(wanted, mixed, out=np.ones_like(mixed), where=wanted > 0)
            apart = np.clip((wanted * np.log(ratio)).sum(1), *self.bounds)
            found[rows] = np.where((wanted.sum(1) > 0) & (shown >= 0).any(1), apart, np.nan)
        return found
