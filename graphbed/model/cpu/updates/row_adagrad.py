"""Row Adagrad: one sum of squares for each row, of the mean square of its gradient."""

import numpy as np

ROW_ADAGRAD_EPSILON = np.float32(1e-10)


def update_row(values: np.ndarray, sums: np.ndarray, row: int, grad: np.ndarray, lr: np.float32) -> np.float32:
    squares = np.float32(0)
    for d in range(grad.shape[0]):
        squares += grad[d] * grad[d]
    if squares == np.float32(0):
        return squares
    # The step divides by what this thread has read and added, never by what others may have written since: so it is at
    # most lr·√D long whatever other threads do.
    total = sums[row, 0] + squares / np.float32(grad.shape[0])
    sums[row, 0] = total
    step = lr / (np.sqrt(total) + ROW_ADAGRAD_EPSILON)
    for d in range(grad.shape[0]):
        values[row, d] -= step * grad[d]
    return squares
