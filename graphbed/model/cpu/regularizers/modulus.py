"""N3 of complex factors: Σ|a|³ over the moduli of real and imaginary halves."""

import numpy as np


def add_regularizer(vector: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    half = vector.shape[0] // 2
    three = np.float32(3) * scale
    for d in range(half):
        real, imaginary = vector[d], vector[half + d]
        factor = three * np.sqrt(real * real + imaginary * imaginary)
        grad[d] += factor * real
        grad[half + d] += factor * imaginary


def add_parameter_regularizer(values: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    add_regularizer(values, scale, grad)
