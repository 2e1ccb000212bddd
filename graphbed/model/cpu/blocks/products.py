"""Scores that are dot products: dot and cos."""

import numpy as np

from graphbed.model.cpu.intrinsics import matmul


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
    matmul(grads, candidates, query_grads, add_to_queries)
    matmul(grads.T, queries, candidate_grads, add_to_candidates)


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
