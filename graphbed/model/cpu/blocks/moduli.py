"""Scores that fall with a sum over the differences of elements: l1, and complex_l1 over moduli."""

import numpy as np

from graphbed.model.cpu.slots import add_gap_grads, gap_score


def score_block(
    queries: np.ndarray,
    query_scales: np.ndarray,  # noqa: ARG001
    candidates: np.ndarray,
    candidate_scales: np.ndarray,  # noqa: ARG001
    scores: np.ndarray,
    kept: np.ndarray,  # noqa: ARG001
) -> None:
    for i in range(queries.shape[0]):
        for j in range(candidates.shape[0]):
            scores[i, j] = gap_score(queries[i], candidates[j])


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
    if not add_to_queries:
        query_grads[:] = np.float32(0)
    if not add_to_candidates:
        candidate_grads[:] = np.float32(0)
    for i in range(grads.shape[0]):
        for j in range(grads.shape[1]):
            if grads[i, j] != np.float32(0):
                add_gap_grads(grads[i, j], queries[i], candidates[j], query_grads[i], candidate_grads[j])


def score_pairs(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    for i in range(queries.shape[0]):
        scores[i] = gap_score(queries[i], candidates[i])


def pull_back_pairs(
    grads: np.ndarray,
    queries: np.ndarray,
    candidates: np.ndarray,
    query_grads: np.ndarray,
    candidate_grads: np.ndarray,
) -> None:
    for i in range(queries.shape[0]):
        add_gap_grads(grads[i], queries[i], candidates[i], query_grads[i], candidate_grads[i])
