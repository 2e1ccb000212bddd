"""Translation: y + θ."""

import numpy as np


def apply_operator(points: np.ndarray, values: np.ndarray, relations: np.ndarray, out: np.ndarray) -> np.ndarray:
    for p in range(points.shape[0]):
        theta = values[relations[p]]
        for d in range(points.shape[1]):
            out[p, d] = points[p, d] + theta[d]
    return out


def pull_back_operator(
    points: np.ndarray,
    values: np.ndarray,  # noqa: ARG001
    relations: np.ndarray,  # noqa: ARG001
    local: np.ndarray,
    grads: np.ndarray,
    value_grads: np.ndarray,
) -> None:
    for p in range(points.shape[0]):
        theta_grad = value_grads[local[p]]
        for d in range(points.shape[1]):
            theta_grad[d] += grads[p, d]
