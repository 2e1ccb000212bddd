"""Adagrad by element, which operator parameters always use."""

import numpy as np

ADAGRAD_EPSILON = np.float32(1e-10)


def update_elements(values: np.ndarray, sums: np.ndarray, row: int, grad: np.ndarray, lr: np.float32) -> np.float32:
    """One step of values[row] by `grad` [D]; returns a number that is finite only if all of `grad` is.

    The step divides by what this thread has read and added, as in row Adagrad.
    """
    squares = np.float32(0)
    for d in range(grad.shape[0]):
        square = grad[d] * grad[d]
        # A sum from which the deltas of a void lease were subtracted may have become a little negative.
        total = max(sums[row, d], np.float32(0)) + square
        sums[row, d] = total
        values[row, d] -= lr * grad[d] / (np.sqrt(total) + ADAGRAD_EPSILON)
        squares += square
    return squares


def update_relations(
    values: np.ndarray, sums: np.ndarray, distinct: np.ndarray, grads: np.ndarray, lr: np.float32
) -> np.float32:
    """One step of each row distinct[k] by grads[k]; returns a number that is finite only if all of `grads` is."""
    squares = np.float32(0)
    for k in range(distinct.shape[0]):
        squares += update_elements(values, sums, distinct[k], grads[k], lr)
    return squares
