"""What l2 and squared_l2 compare: the vectors as they are, with their squared lengths as scales."""

import numpy as np

from graphbed.model.cpu.slots import compared_part


def make_comparable(vectors: np.ndarray, out: np.ndarray, scales: np.ndarray) -> np.ndarray:  # noqa: ARG001
    compared = compared_part(vectors)
    for p in range(vectors.shape[0]):
        squares = np.float32(0)
        for d in range(compared.shape[1]):
            squares += compared[p, d] * compared[p, d]
        scales[p] = squares
    return vectors


def pull_back_comparator(compared: np.ndarray, scales: np.ndarray, grads: np.ndarray) -> None:
    pass
