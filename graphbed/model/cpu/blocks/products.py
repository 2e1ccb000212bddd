"""Scores that are dot products: dot and cos."""

import numpy as np

from graphbed.model.cpu.intrinsics import matmul

FEW = 12
"""With fewer than one in so many derivatives that are not zero, adding rows one by one beats two matrix products."""


def score_block(
    queries: np.ndarray,
    query_scales: np.ndarray,  # noqa: ARG001
    candidates: np.ndarray,
    candidate_scales: np.ndarray,  # noqa: ARG001
    scores: np.ndarray,
    kept: np.ndarray,  # noqa: ARG001
) -> None:
    matmul(queries, candidates.T, scores, False)


def pull_back_block(
    grads: np.ndarray,
    kept: np.ndarray,  # noqa: ARG001
    queries: np.ndarray,
    candidates: np.ndarray,
    query_grads: np.ndarray,
    add_to_queries: bool,
    candidate_grads: np.ndarray,
    add_to_candidates: bool,
) -> None:
    if has_few(grads):
        add_few(grads, queries, candidates, query_grads, add_to_queries, candidate_grads, add_to_candidates)
    else:
        matmul(grads, candidates, query_grads, add_to_queries)
        matmul(grads.T, queries, candidate_grads, add_to_candidates)


def has_few(grads: np.ndarray) -> bool:
    """Whether nearly all of `grads` is zero, as ranking leaves it once most negatives score low enough."""
    count = 0
    for i in range(grads.shape[0]):
        for j in range(grads.shape[1]):
            count += 0 if grads[i, j] == np.float32(0) else 1
    return count * FEW < grads.size


def add_few(
    grads: np.ndarray,
    queries: np.ndarray,
    candidates: np.ndarray,
    query_grads: np.ndarray,
    add_to_queries: bool,
    candidate_grads: np.ndarray,
    add_to_candidates: bool,
) -> None:
    """`pull_back_block` for the derivatives that are not zero alone."""
    if not add_to_queries:
        query_grads[:] = np.float32(0)
    if not add_to_candidates:
        candidate_grads[:] = np.float32(0)
    for i in range(grads.shape[0]):
        for j in range(grads.shape[1]):
            grad = grads[i, j]
            if grad != np.float32(0):
                for d in range(queries.shape[1]):
                    query_grads[i, d] += grad * candidates[j, d]
                    candidate_grads[j, d] += grad * queries[i, d]


def score_pairs(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    for i in range(queries.shape[0]):
        total = np.float32(0)
        for d in range(queries.shape[1]):
            total += queries[i, d] * candidates[i, d]
        scores[i] = total


def pull_back_pairs(
    grads: np.ndarray,
    queries: np.ndarray,
    candidates: np.ndarray,
    query_grads: np.ndarray,
    candidate_grads: np.ndarray,
) -> None:
    for i in range(queries.shape[0]):
        for d in range(queries.shape[1]):
            query_grads[i, d] += grads[i] * candidates[i, d]
            candidate_grads[i, d] += grads[i] * queries[i, d]
