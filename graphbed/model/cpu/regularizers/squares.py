"""L2: Σa² over the elements."""

import numpy as np


def add_regularizer(vector: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    two = np.float32(2) * scale
    for d in range(vector.shape[0]):
        grad[d] += two * vector[d]


def add_parameter_regularizer(values: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    add_regularizer(values, scale, grad)
