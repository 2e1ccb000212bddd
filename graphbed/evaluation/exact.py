"""Exact scores: one pair after the other in float64, rounded to float32.

Each sum goes through the dimensions in order, so equal vectors have equal scores wherever in a table they lie.
"""

# Shapes: B queries, V candidates, D dimension. Vectors from `first` on are compared; a bias is the number before.

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from graphbed.config.choices import Comparator
from graphbed.evaluation.scoring import DISTANCE_EPSILON

Pair = Callable[[NDArray[np.float64], NDArray[np.float32], float, int], float]
"""The score of a query [D] and a candidate [D] whose vector is to be multiplied by a scale."""

OPTIONS = {"nogil": True, "error_model": "numpy"}
compiled = njit(**OPTIONS)


@compiled  # type: ignore[untyped-decorator]
def _product(query: NDArray[np.float64], candidate: NDArray[np.float32], scale: float, first: int) -> float:
    total = 0.0
    for d in range(first, len(query)):
        total += query[d] * candidate[d]
    return total * scale


@compiled  # type: ignore[untyped-decorator]
def _square(query: NDArray[np.float64], candidate: NDArray[np.float32], scale: float, first: int) -> float:  # noqa: ARG001
    total = 0.0
    for d in range(first, len(query)):
        gap = query[d] - candidate[d]
        total += gap * gap
    return total


@compiled  # type: ignore[untyped-decorator]
def _squared_l2(query: NDArray[np.float64], candidate: NDArray[np.float32], scale: float, first: int) -> float:
    return -float(_square(query, candidate, scale, first))


@compiled  # type: ignore[untyped-decorator]
def _l2(query: NDArray[np.float64], candidate: NDArray[np.float32], scale: float, first: int) -> float:
    return -math.sqrt(_square(query, candidate, scale, first) + DISTANCE_EPSILON)


@compiled  # type: ignore[untyped-decorator]
def _l1(query: NDArray[np.float64], candidate: NDArray[np.float32], scale: float, first: int) -> float:  # noqa: ARG001
    total = 0.0
    for d in range(first, len(query)):
        total -= abs(query[d] - candidate[d])
    return total


@compiled  # type: ignore[untyped-decorator]
def _complex_l1(query: NDArray[np.float64], candidate: NDArray[np.float32], scale: float, first: int) -> float:  # noqa: ARG001
    half = (len(query) - first) // 2
    total = 0.0
    for d in range(first, first + half):
        real, imaginary = query[d] - candidate[d], query[half + d] - candidate[half + d]
        total -= math.sqrt(real * real + imaginary * imaginary + DISTANCE_EPSILON)
    return total


_PAIRS: dict[Comparator, Pair] = {
    Comparator.DOT: _product,
    Comparator.COS: _product,
    Comparator.L2: _l2,
    Comparator.SQUARED_L2: _squared_l2,
    Comparator.L1: _l1,
    Comparator.COMPLEX_L1: _complex_l1,
}


@cache
def exact_pair(comparator: Comparator, first: int) -> Callable[..., np.float32]:
    """The compiled score of one pair: (query [D], candidate [D], scale) → float32; `first` is 1 if there is a bias."""
    pair = _PAIRS[comparator]

    @compiled  # type: ignore[untyped-decorator]
    def score(query: NDArray[np.float64], candidate: NDArray[np.float32], scale: float) -> np.float32:
        total = pair(query, candidate, scale, first)
        if first:
            total += query[0] + candidate[0]
        return np.float32(total)

    compiled_score: Callable[..., np.float32] = score
    return compiled_score


@cache
def exact_scores(comparator: Comparator, first: int) -> Callable[..., NDArray[np.float32]]:
    """The compiled function (queries [B, D], candidates [B, D], scales [B]) → the scores [B] of row and row."""
    exact = exact_pair(comparator, first)

    @compiled  # type: ignore[untyped-decorator]
    def scores(
        queries_BD: NDArray[np.float64], candidates_BD: NDArray[np.float32], scales_B: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        scores_B = np.empty(len(queries_BD), np.float32)
        for i in range(len(queries_BD)):
            scores_B[i] = exact(queries_BD[i], candidates_BD[i], scales_B[i])
        return scores_B

    compiled_scores: Callable[..., NDArray[np.float32]] = scores
    return compiled_scores


@compiled  # type: ignore[untyped-decorator]
def squared_lengths(vectors_VD: NDArray[np.float32], first: int) -> NDArray[np.float64]:
    """|x|² [V] of the parts that are compared. Four sums that take turns: as repeatable as one, and faster."""
    squares = np.empty(len(vectors_VD))
    for row in range(len(vectors_VD)):
        vector = vectors_VD[row]
        a = b = c = d = 0.0
        for place in range(first, len(vector) - 3, 4):
            a += np.float64(vector[place]) * np.float64(vector[place])
            b += np.float64(vector[place + 1]) * np.float64(vector[place + 1])
            c += np.float64(vector[place + 2]) * np.float64(vector[place + 2])
            d += np.float64(vector[place + 3]) * np.float64(vector[place + 3])
        for place in range(len(vector) - (len(vector) - first) % 4, len(vector)):
            a += np.float64(vector[place]) * np.float64(vector[place])
        squares[row] = a + b + c + d
    return squares
