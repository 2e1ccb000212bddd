"""Adam by element; a row's state is its m, its u and the number of its steps (Kingma, Ba, ICLR 2015)."""

import numpy as np

ADAM_FIRST = np.float32(0.9)
ADAM_SECOND = np.float32(0.999)
ADAM_EPSILON = np.float32(1e-8)


def update_row(values: np.ndarray, sums: np.ndarray, row: int, grad: np.ndarray, lr: np.float32) -> np.float32:
    one, dimension = np.float32(1), grad.shape[0]
    squares = np.float32(0)
    for d in range(dimension):
        squares += grad[d] * grad[d]
    if squares == np.float32(0):
        return squares
    steps = sums[row, 2 * dimension] + one
    sums[row, 2 * dimension] = steps
    first = one / (one - ADAM_FIRST**steps)
    second = one / (one - ADAM_SECOND**steps)
    for d in range(dimension):
        moment = ADAM_FIRST * sums[row, d] + (one - ADAM_FIRST) * grad[d]
        spread = ADAM_SECOND * sums[row, dimension + d] + (one - ADAM_SECOND) * grad[d] * grad[d]
        sums[row, d], sums[row, dimension + d] = moment, spread
        values[row, d] -= lr * (moment * first) / (np.sqrt(spread * second) + ADAM_EPSILON)
    return squares
