"""L1: −Σ|a − b|."""

import numpy as np


def gap_score(query: np.ndarray, candidate: np.ndarray) -> np.float32:
    total = np.float32(0)
    for d in range(query.shape[0]):
        total -= np.abs(query[d] - candidate[d])
    return total


def add_gap_grads(
    grad: np.float32, query: np.ndarray, candidate: np.ndarray, query_grad: np.ndarray, candidate_grad: np.ndarray
) -> None:
    for d in range(query.shape[0]):
        gap = query[d] - candidate[d]
        # Written so that equal elements have no gradient, and NaN one that shows.
        turned = np.float32(0) if gap == np.float32(0) else grad * gap / np.abs(gap)
        query_grad[d] -= turned
        candidate_grad[d] += turned
