"""No bias: the whole vector is compared."""

import numpy as np


def compared_part(vectors: np.ndarray) -> np.ndarray:
    return vectors


def add_biases(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    pass


def add_pair_biases(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    pass


def pull_back_biases(grads: np.ndarray, query_grads: np.ndarray, candidate_grads: np.ndarray) -> None:
    pass


def pull_back_pair_biases(grads: np.ndarray, query_grads: np.ndarray, candidate_grads: np.ndarray) -> None:
    pass
