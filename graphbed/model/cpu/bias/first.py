"""A bias: the first number of each vector is added to its scores, the others are compared."""

import numpy as np


def compared_part(vectors: np.ndarray) -> np.ndarray:
    return vectors[:, 1:]


def add_biases(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    for i in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            scores[i, j] += queries[i, 0] + candidates[j, 0]


def add_pair_biases(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    for i in range(scores.shape[0]):
        scores[i] += queries[i, 0] + candidates[i, 0]


def pull_back_biases(grads: np.ndarray, query_grads: np.ndarray, candidate_grads: np.ndarray) -> None:
    for i in range(grads.shape[0]):
        for j in range(grads.shape[1]):
            query_grads[i, 0] += grads[i, j]
            candidate_grads[j, 0] += grads[i, j]


def pull_back_pair_biases(grads: np.ndarray, query_grads: np.ndarray, candidate_grads: np.ndarray) -> None:
    for i in range(grads.shape[0]):
        query_grads[i, 0] += grads[i]
        candidate_grads[i, 0] += grads[i]
