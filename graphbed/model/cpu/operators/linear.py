"""Linear: A y, with the relation's D·D numbers as the matrix A, row by row."""

import numpy as np

from graphbed.model.cpu.intrinsics import matmul
from graphbed.model.cpu.runs import end_of_run


def apply_operator(points: np.ndarray, values: np.ndarray, relations: np.ndarray, out: np.ndarray) -> np.ndarray:
    dimension, start = points.shape[1], 0
    while start < points.shape[0]:
        stop = end_of_run(relations, start, points.shape[0])
        matrix = values[relations[start], : dimension * dimension].reshape(dimension, dimension)
        matmul(points[start:stop], matrix.T, out[start:stop], False)
        start = stop
    return out


def pull_back_operator(
    points: np.ndarray,
    values: np.ndarray,
    relations: np.ndarray,
    local: np.ndarray,
    grads: np.ndarray,
    value_grads: np.ndarray,
) -> None:
    dimension, start = points.shape[1], 0
    while start < points.shape[0]:
        stop = end_of_run(relations, start, points.shape[0])
        matrix = values[relations[start], : dimension * dimension].reshape(dimension, dimension)
        matrix_grad = value_grads[local[start], : dimension * dimension].reshape(dimension, dimension)
        matmul(grads[start:stop].T, points[start:stop], matrix_grad, True)
        given = grads[start:stop].copy()
        matmul(given, matrix, grads[start:stop], False)
        start = stop
