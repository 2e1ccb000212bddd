"""Adagrad: one sum of squares for each element."""

import numpy as np

from graphbed.model.cpu.relation_update import update_elements


def update_row(values: np.ndarray, sums: np.ndarray, row: int, grad: np.ndarray, lr: np.float32) -> np.float32:
    return update_elements(values, sums, row, grad, lr)
