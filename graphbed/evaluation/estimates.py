"""Estimates: float32 scores of all pairs at once, each with a bound on what it may be off the exact score.

With u = 2^-24 and κ = 1.01 (D + 16) u, T the score it is compared with and β the biases, an exact score, rounded to
float32, lies on the same side of T as the estimate s if |s − T| is more than

    b + 4u (|β_q| + |β_c| + |T|) + 1e-30

    dot, cos           b = n_q n_c                  n = √κ (|x| + 1e-15)
    l2                 b = (n_q + n_c)² / |s|       n = √κ (|x| + √ε), ε under the root of the score
    squared_l2         b = (n_q + n_c)²             n = √κ (|x| + 1e-15)
    l1, complex_l1     b = n_q + n_c                n = κ (Σ|x_d| + 1e-15), for complex_l1 plus κ √ε D

A float32 sum of D products in any order, fused or not, is off by at most D u / (1 − D u) times the sum of their
magnitudes, which is at most |q| |c|. The 16 cover the rounding of the vectors to float32, of lengths and of this
arithmetic itself; the 1.01 covers the denominator up to D = 100,000. |a − b|² is taken as |a|² + |b|² − 2ab, and the
root of a number that is off by e is off by at most e over the root. The rest is the rounding of the exact score and of
T, and what underflow may cost. What is not finite decides nothing.
"""

# Shapes: B queries, V candidates, D dimension, D' = D, less the bias where vectors are not multiplied.

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from graphbed.config.choices import Comparator
from graphbed.evaluation.exact import OPTIONS, compiled, squared_lengths
from graphbed.evaluation.scoring import COS_EPSILON, DISTANCE_EPSILON

ROUNDING = 2.0**-24
LEAST_SIZE = 1e-15
LEAST_BOUND = 1e-30

_PRODUCTS = (Comparator.DOT, Comparator.COS)
_SUMS = (Comparator.L1, Comparator.COMPLEX_L1)

FEW = 32
"""Candidates that stay in the cache while all queries are compared with them."""

_EPSILON = np.float32(DISTANCE_EPSILON)
_TWO, _NOTHING = np.float32(2), np.float32(0)


class Queries(NamedTuple):
    """Queries in the form that compiled code takes."""

    exact: NDArray[np.float64]
    """[B, D] as the model made them."""
    vectors: NDArray[np.float32]
    """[B, D'] as they are multiplied or subtracted in float32."""
    sizes: NDArray[np.float32]
    """[B] n_q."""
    squares: NDArray[np.float32]
    """[B] |q|²."""
    biases: NDArray[np.float32]
    """[B] β_q."""

    def part(self, start: int, stop: int) -> "Queries":
        """The queries from `start` up to but without `stop`; nothing is copied."""
        return Queries._make(column[start:stop] for column in self)


class Candidates(NamedTuple):
    """Candidates in the form that compiled code takes."""

    exact: NDArray[np.float32]
    """[V, D] as the model made them; read-only."""
    scales: NDArray[np.float64]
    """[V] what makes their lengths 1 under cos; else 1."""
    vectors: NDArray[np.float32]
    """[V, D'] as they are multiplied or subtracted; read-only."""
    sizes: NDArray[np.float32]
    """[V] n_c."""
    squares: NDArray[np.float32]
    """[V] |c|²."""
    biases: NDArray[np.float32]
    """[V] β_c; 0 for products, which have it in their vectors."""

    def part(self, start: int, stop: int) -> "Candidates":
        """The candidates from `start` up to but without `stop`; nothing is copied."""
        return Candidates._make(column[start:stop] for column in self)


def queries(comparator: Comparator, exact_BD: NDArray[np.float64], first: int) -> Queries:
    """From queries as TrainedModel makes them; `first` is 1 if there is a bias before each vector, else 0."""
    biases = exact_BD[:, 0] if first else np.zeros(len(exact_BD))
    vectors = _single(exact_BD)
    if comparator in _PRODUCTS:
        vectors[:, :first] = 1.0  # times the candidate's bias
    else:
        vectors = np.ascontiguousarray(vectors[:, first:])
    squares = squared_lengths(_read_only(vectors), 0)
    sizes = _sizes(comparator, vectors, squares)
    return Queries(exact_BD, vectors, *(_single(column) for column in (sizes, squares, biases)))


def candidates(comparator: Comparator, exact_VD: NDArray[np.float32], first: int) -> Candidates:
    """From rows as TrainedModel makes them; they are copied only if they have a bias, or to be scaled for cos."""
    exact = _read_only(np.ascontiguousarray(exact_VD))
    scales, biases = np.ones(len(exact)), np.zeros(len(exact), np.float32)
    vectors, squares = exact, squared_lengths(exact, 0 if comparator in _PRODUCTS else first)
    if comparator is Comparator.COS:
        scales = 1.0 / np.sqrt(squared_lengths(exact, first) + COS_EPSILON)
        with np.errstate(invalid="ignore"):
            vectors = exact * _single(scales)[:, None]
        vectors[:, :first] = exact[:, :first]
        squares = squared_lengths(_read_only(vectors), 0)
    elif comparator is not Comparator.DOT and first:
        vectors, biases = np.ascontiguousarray(exact[:, first:]), np.ascontiguousarray(exact[:, 0])
    sizes = _sizes(comparator, vectors, squares)
    return Candidates(exact, scales, _read_only(vectors), _single(sizes), _single(squares), biases)


def _sizes(comparator: Comparator, vectors: NDArray[np.float32], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """n of each vector."""
    dimension = vectors.shape[1]
    kappa, root = 1.01 * (dimension + 16) * ROUNDING, np.sqrt(DISTANCE_EPSILON)
    if comparator in _SUMS:
        magnitudes = np.abs(vectors).sum(axis=1, dtype=np.float64)
        least = root * dimension if comparator is Comparator.COMPLEX_L1 else 0.0
        sizes = kappa * (magnitudes + least + LEAST_SIZE)
    else:
        sizes = np.sqrt(kappa) * (np.sqrt(squares) + (root if comparator is Comparator.L2 else LEAST_SIZE))
    return np.asarray(sizes)


def _single(array: NDArray[np.float64]) -> NDArray[np.float32]:
    """In float32; what is too large becomes infinite, and then decides nothing."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _read_only(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same array: stored tables are read-only, and compiled code is made for one kind of array."""
    view = array.view()
    view.flags.writeable = False
    return view


@compiled  # type: ignore[untyped-decorator]
def _product(
    combined: np.float32,
    query_size: np.float32,
    query_square: np.float32,  # noqa: ARG001
    candidate_size: np.float32,
    candidate_square: np.float32,  # noqa: ARG001
) -> tuple[np.float32, np.float32]:
    return combined, query_size * candidate_size


@compiled  # type: ignore[untyped-decorator]
def _l2(
    combined: np.float32,
    query_size: np.float32,
    query_square: np.float32,
    candidate_size: np.float32,
    candidate_square: np.float32,
) -> tuple[np.float32, np.float32]:
    root = np.sqrt(max(query_square + candidate_square - _TWO * combined, _NOTHING) + _EPSILON)
    size = query_size + candidate_size
    return -root, size * size / root


@compiled  # type: ignore[untyped-decorator]
def _squared_l2(
    combined: np.float32,
    query_size: np.float32,
    query_square: np.float32,
    candidate_size: np.float32,
    candidate_square: np.float32,
) -> tuple[np.float32, np.float32]:
    size = query_size + candidate_size
    return _TWO * combined - (query_square + candidate_square), size * size


@compiled  # type: ignore[untyped-decorator]
def _sum(
    combined: np.float32,
    query_size: np.float32,
    query_square: np.float32,  # noqa: ARG001
    candidate_size: np.float32,
    candidate_square: np.float32,  # noqa: ARG001
) -> tuple[np.float32, np.float32]:
    return -combined, query_size + candidate_size


ESTIMATES: dict[Comparator, Callable[..., tuple[np.float32, np.float32]]] = {
    Comparator.DOT: _product,
    Comparator.COS: _product,
    Comparator.L2: _l2,
    Comparator.SQUARED_L2: _squared_l2,
    Comparator.L1: _sum,
    Comparator.COMPLEX_L1: _sum,
}
"""The estimate without biases and its bound without what biases and T add: of one pair, from what `COMBINE` gave."""


def _multiply(queries_BD: NDArray[np.float32], candidates_VD: NDArray[np.float32], out_BV: NDArray[np.float32]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        np.matmul(queries_BD, candidates_VD.T, out=out_BV)


@njit(**OPTIONS, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _magnitudes(
    queries_BD: NDArray[np.float32], candidates_VD: NDArray[np.float32], out_BV: NDArray[np.float32]
) -> None:
    for start in range(0, len(candidates_VD), FEW):
        for i in range(len(queries_BD)):
            query = queries_BD[i]
            for j in range(start, min(start + FEW, len(candidates_VD))):
                candidate = candidates_VD[j]
                total = _NOTHING
                for d in range(len(query)):
                    total += abs(query[d] - candidate[d])
                out_BV[i, j] = total


@njit(**OPTIONS, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _moduli(queries_BD: NDArray[np.float32], candidates_VD: NDArray[np.float32], out_BV: NDArray[np.float32]) -> None:
    half = queries_BD.shape[1] // 2
    for start in range(0, len(candidates_VD), FEW):
        for i in range(len(queries_BD)):
            query = queries_BD[i]
            for j in range(start, min(start + FEW, len(candidates_VD))):
                candidate = candidates_VD[j]
                total = _NOTHING
                for d in range(half):
                    real, imaginary = query[d] - candidate[d], query[half + d] - candidate[half + d]
                    total += np.sqrt(real * real + imaginary * imaginary + _EPSILON)
                out_BV[i, j] = total


COMBINE: dict[Comparator, Callable[[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]], None]] = {
    Comparator.DOT: _multiply,
    Comparator.COS: _multiply,
    Comparator.L2: _multiply,
    Comparator.SQUARED_L2: _multiply,
    Comparator.L1: _magnitudes,
    Comparator.COMPLEX_L1: _moduli,
}
"""Fills [B, V] from the vectors of queries and candidates: with products, or with sums of magnitudes of differences."""
