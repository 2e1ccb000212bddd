"""N3 of real factors: Σ|a|³ over the elements."""

import numpy as np


def add_regularizer(vector: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    three = np.float32(3) * scale
    for d in range(vector.shape[0]):
        grad[d] += three * np.abs(vector[d]) * vector[d]


def add_parameter_regularizer(values: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    add_regularizer(values, scale, grad)
