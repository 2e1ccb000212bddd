"""Dot: the score is the dot product of the vectors as they are."""

import numpy as np


def make_comparable(vectors: np.ndarray, out: np.ndarray, scales: np.ndarray) -> np.ndarray:  # noqa: ARG001
    return vectors


def pull_back_comparator(compared: np.ndarray, scales: np.ndarray, grads: np.ndarray) -> None:
    pass
