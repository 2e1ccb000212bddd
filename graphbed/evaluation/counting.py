"""Counting: how many candidates score higher than the true entity of each query, and how many the same."""

# Shapes: B queries, V candidates of one block, W of one tile, D dimension, M excluded candidates of all queries.

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphbed.config.choices import Comparator
from graphbed.evaluation.estimates import COMBINE, ESTIMATES, LEAST_BOUND, ROUNDING, Candidates, Queries
from graphbed.evaluation.exact import compiled, exact_pair

TILE_QUERIES, TILE_CANDIDATES = 256, 1024
"""Their estimates, 1 MiB, stay in a core's cache from the product to the count."""
STRIP = 256
"""Estimates that are counted at a time; only a strip with one that decides nothing is looked at one by one."""

_FOUR_ROUNDINGS = np.float32(4 * ROUNDING)
_LEAST_BOUND = np.float32(LEAST_BOUND)
_INFINITE = np.float32(np.inf)


class Truths(NamedTuple):
    """What each query's candidates are compared with, what is none of its candidates, and the counts so far."""

    entity: NDArray[np.int64]
    """[B] the true entity's id, no candidate itself."""
    score: NDArray[np.float32]
    """[B] its exact score."""
    excluded: NDArray[np.int64]
    """[M] ids of known entities, ascending for each query; the true one may be among them."""
    next: NDArray[np.int64]
    """[B] where in `excluded` each query's first one is that was not met yet; moved on by counting."""
    stop: NDArray[np.int64]
    """[B] where in `excluded` each query's end."""
    higher: NDArray[np.int64]
    """[B] candidates that score higher; added to by counting."""
    equal: NDArray[np.int64]
    """[B] candidates that score the same, or NaN if the true one does; added to by counting."""

    @classmethod
    def create(
        cls,
        entity: NDArray[np.int64],
        score: NDArray[np.float32],
        excluded_query: NDArray[np.int64],
        excluded_entity: NDArray[np.int64],
    ) -> "Truths":
        """With nothing counted yet. Excluded pairs [M] come by query, and by entity for each."""
        ends = np.cumsum(np.bincount(excluded_query, minlength=len(entity)))
        starts = np.concatenate([[0], ends])[:-1]
        higher, equal = np.zeros(len(entity), np.int64), np.zeros(len(entity), np.int64)
        return cls(entity, score, excluded_entity, starts, ends, higher, equal)

    @property
    def ranks(self) -> NDArray[np.float64]:
        """[B], of what was counted."""
        return 1.0 + self.higher + self.equal / 2.0


class _Query(NamedTuple):
    """What decides about the candidates of one query."""

    size: np.float32
    square: np.float32
    bias: np.float32
    truth: np.float32
    slack: np.float32


def count(
    comparator: Comparator,
    queries: Queries,
    candidates: Candidates,
    truths: Truths,
    *,
    start: int,
    first: int,
    estimates: NDArray[np.float32],
) -> None:
    """Count the candidates of a block, whose first one has the id `start`; blocks come in the order of their ids.

    `first` is 1 if vectors have a bias before them; `estimates` is scratch of TILE_QUERIES · TILE_CANDIDATES numbers.
    """
    combine, count_tile = COMBINE[comparator], tile_counter(comparator, first)
    for tile in range(0, len(candidates.exact), TILE_CANDIDATES):
        of_tile = candidates.part(tile, tile + TILE_CANDIDATES)
        for some in range(0, len(queries.exact), TILE_QUERIES):
            asking = queries.part(some, some + TILE_QUERIES)
            shape = len(asking.exact), len(of_tile.exact)
            combined_BW = estimates[: shape[0] * shape[1]].reshape(shape)
            combine(asking.vectors, of_tile.vectors, combined_BW)
            count_tile(combined_BW, asking, of_tile, truths, some, start + tile)


@cache
def tile_counter(comparator: Comparator, first: int) -> Callable[..., None]:
    """The compiled function that `count` calls for each tile; it is compiled at its first call."""
    estimate, exact = ESTIMATES[comparator], exact_pair(comparator, first)

    @compiled  # type: ignore[untyped-decorator]
    def gap(
        combined: np.float32, query: _Query, size: np.float32, square: np.float32, bias: np.float32
    ) -> tuple[np.float32, np.float32]:
        """By how much an estimate is above the truth, and what it may be off."""
        score, off = estimate(combined, query.size, query.square, size, square)
        return score + (query.bias + bias) - query.truth, off + (query.slack + _FOUR_ROUNDINGS * abs(bias))

    @compiled  # type: ignore[untyped-decorator]
    def higher_in_strip(
        combined_W: NDArray[np.float32],
        query: _Query,
        sizes_W: NDArray[np.float32],
        squares_W: NDArray[np.float32],
        biases_W: NDArray[np.float32],
    ) -> int:
        """How many estimates are higher than the truth, or −1 if one of them decides nothing."""
        higher = decided = finite = 0
        for j in range(len(combined_W)):
            above, off = gap(combined_W[j], query, sizes_W[j], squares_W[j], biases_W[j])
            higher += 1 if above > off else 0
            decided += 1 if abs(above) > off else 0
            finite += 1 if abs(above) < _INFINITE else 0
        return higher if decided == finite == len(combined_W) else -1

    @compiled  # type: ignore[untyped-decorator]
    def compare(
        query_D: NDArray[np.float64], candidate_D: NDArray[np.float32], scale: float, truth: np.float32
    ) -> tuple[int, int]:
        """(1, 0) if a candidate's exact score is higher than the truth's, (0, 1) if it is the same, else (0, 0)."""
        score = exact(query_D, candidate_D, scale)
        if np.isnan(truth):
            return int(not np.isnan(score)), int(np.isnan(score))
        return int(score > truth), int(score == truth)

    @compiled  # type: ignore[untyped-decorator]
    def side(combined: np.float32, query: _Query, size: np.float32, square: np.float32, bias: np.float32) -> int:
        """1 if an estimate is surely higher than the truth, −1 if it is surely lower, 0 if it decides nothing."""
        above, off = gap(combined, query, size, square, bias)
        decided = abs(above) > off and abs(above) < _INFINITE
        return (1 if above > off else -1) if decided else 0

    @compiled  # type: ignore[untyped-decorator]
    def count_tile(
        combined_BW: NDArray[np.float32],
        queries: Queries,
        candidates: Candidates,
        truths: Truths,
        first_query: int,
        first_entity: int,
    ) -> None:
        width = combined_BW.shape[1]
        sizes_W, squares_W, biases_W = candidates.sizes, candidates.squares, candidates.biases
        for i in range(len(combined_BW)):
            at = first_query + i
            truth = truths.score[at]
            slack = _FOUR_ROUNDINGS * (abs(queries.biases[i]) + abs(truth)) + _LEAST_BOUND
            query = _Query(queries.sizes[i], queries.squares[i], queries.biases[i], truth, slack)
            combined_W, query_D = combined_BW[i], queries.exact[i]
            higher = equal = 0
            for start in range(0, width, STRIP):
                strip = slice(start, start + STRIP)
                found = higher_in_strip(combined_W[strip], query, sizes_W[strip], squares_W[strip], biases_W[strip])
                if found >= 0:
                    higher += found
                    continue
                for j in range(start, min(start + STRIP, width)):
                    which = side(combined_W[j], query, sizes_W[j], squares_W[j], biases_W[j])
                    higher += which > 0
                    if which == 0:
                        more, same = compare(query_D, candidates.exact[j], candidates.scales[j], truth)
                        higher += more
                        equal += same
            # What is no candidate was counted like one, and is taken out in the same way: no estimate decides about
            # the truth, others are known.
            own = truths.entity[at] - first_entity
            if 0 <= own < width:
                more, same = compare(query_D, candidates.exact[own], candidates.scales[own], truth)
                higher -= more
                equal -= same
            known = truths.next[at]
            while known < truths.stop[at] and truths.excluded[known] < first_entity + width:
                j = truths.excluded[known] - first_entity
                if j != own:
                    which = side(combined_W[j], query, sizes_W[j], squares_W[j], biases_W[j])
                    higher -= which > 0
                    if which == 0:
                        more, same = compare(query_D, candidates.exact[j], candidates.scales[j], truth)
                        higher -= more
                        equal -= same
                known += 1
            truths.next[at] = known
            truths.higher[at] += higher
            truths.equal[at] += equal

    compiled_count: Callable[..., None] = count_tile
    return compiled_count
