"""Scores that fall with the Euclidean distance: l2 and squared_l2, through |a|² − 2ab + |b|² and one matrix product.

The scales are squared lengths. With w = −½ · d score / d |a − b|² · 2, the gradient by a is Σ w (b − a).
"""

import numpy as np

from graphbed.model.cpu.intrinsics import matmul
from graphbed.model.cpu.slots import distance_score, distance_weight

ROUNDING = np.float32(4e-6)
"""Of the sum of both squared lengths: a squared distance below is not told from zero."""


def score_block(
    queries: np.ndarray,
    query_scales: np.ndarray,
    candidates: np.ndarray,
    candidate_scales: np.ndarray,
    scores: np.ndarray,
    kept: np.ndarray,
) -> None:
    matmul(queries, candidates.T, scores, False)
    two = np.float32(2)
    for i in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            squares = query_scales[i] + candidate_scales[j]
            square = squares - two * scores[i, j]
            # What rounding may have left of two equal vectors is nothing; NaN stays NaN.
            score = distance_score(np.float32(0) if square < ROUNDING * squares else square)
            scores[i, j] = score
            kept[i, j] = score


def pull_back_block(
    grads: np.ndarray,
    kept: np.ndarray,
    queries: np.ndarray,
    candidates: np.ndarray,
    query_grads: np.ndarray,
    add_to_queries: bool,
    candidate_grads: np.ndarray,
    add_to_candidates: bool,
) -> None:
    by_candidate = np.zeros(grads.shape[1], np.float32)
    by_query = np.empty(grads.shape[0], np.float32)
    for i in range(grads.shape[0]):
        total = np.float32(0)
        for j in range(grads.shape[1]):
            weight = distance_weight(grads[i, j], kept[i, j])
            grads[i, j] = weight
            total += weight
            by_candidate[j] += weight
        by_query[i] = total
    matmul(grads, candidates, query_grads, add_to_queries)
    matmul(grads.T, queries, candidate_grads, add_to_candidates)
    for i in range(queries.shape[0]):
        for d in range(queries.shape[1]):
            query_grads[i, d] -= by_query[i] * queries[i, d]
    for j in range(candidates.shape[0]):
        for d in range(candidates.shape[1]):
            candidate_grads[j, d] -= by_candidate[j] * candidates[j, d]


def score_pairs(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    for i in range(queries.shape[0]):
        square = np.float32(0)
        for d in range(queries.shape[1]):
            gap = queries[i, d] - candidates[i, d]
            square += gap * gap
        scores[i] = distance_score(square)


def pull_back_pairs(
    grads: np.ndarray,
    queries: np.ndarray,
    candidates: np.ndarray,
    query_grads: np.ndarray,
    candidate_grads: np.ndarray,
) -> None:
    for i in range(queries.shape[0]):
        square = np.float32(0)
        for d in range(queries.shape[1]):
            gap = queries[i, d] - candidates[i, d]
            square += gap * gap
        weight = distance_weight(grads[i], distance_score(square))
        for d in range(queries.shape[1]):
            gap = queries[i, d] - candidates[i, d]
            query_grads[i, d] -= weight * gap
            candidate_grads[i, d] += weight * gap
