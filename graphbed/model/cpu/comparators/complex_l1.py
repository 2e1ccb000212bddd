"""Complex l1: −Σ√(|a − b|² + ε) over the complex numbers, the first half of a vector real, the second imaginary."""

import numpy as np

MODULUS_EPSILON = np.float32(1e-12)


def gap_score(query: np.ndarray, candidate: np.ndarray) -> np.float32:
    half = query.shape[0] // 2
    total = np.float32(0)
    for d in range(half):
        real, imaginary = query[d] - candidate[d], query[half + d] - candidate[half + d]
        total -= np.sqrt(real * real + imaginary * imaginary + MODULUS_EPSILON)
    return total


def add_gap_grads(
    grad: np.float32, query: np.ndarray, candidate: np.ndarray, query_grad: np.ndarray, candidate_grad: np.ndarray
) -> None:
    half = query.shape[0] // 2
    for d in range(half):
        real, imaginary = query[d] - candidate[d], query[half + d] - candidate[half + d]
        share = grad / np.sqrt(real * real + imaginary * imaginary + MODULUS_EPSILON)
        query_grad[d] -= share * real
        query_grad[half + d] -= share * imaginary
        candidate_grad[d] += share * real
        candidate_grad[half + d] += share * imaginary
