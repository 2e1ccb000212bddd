"""Complex diagonal: θ · y as complex numbers; the first half of a vector is real, the second imaginary."""

import numpy as np


def apply_operator(points: np.ndarray, values: np.ndarray, relations: np.ndarray, out: np.ndarray) -> np.ndarray:
    half = points.shape[1] // 2
    for p in range(points.shape[0]):
        theta = values[relations[p]]
        for d in range(half):
            real, imaginary = points[p, d], points[p, half + d]
            out[p, d] = real * theta[d] - imaginary * theta[half + d]
            out[p, half + d] = real * theta[half + d] + imaginary * theta[d]
    return out


def pull_back_operator(
    points: np.ndarray,
    values: np.ndarray,
    relations: np.ndarray,
    local: np.ndarray,
    grads: np.ndarray,
    value_grads: np.ndarray,
) -> None:
    # The gradient passes through the conjugate of the other factor.
    half = points.shape[1] // 2
    for p in range(points.shape[0]):
        theta = values[relations[p]]
        theta_grad = value_grads[local[p]]
        for d in range(half):
            real, imaginary = points[p, d], points[p, half + d]
            grad_real, grad_imaginary = grads[p, d], grads[p, half + d]
            theta_grad[d] += grad_real * real + grad_imaginary * imaginary
            theta_grad[half + d] += grad_imaginary * real - grad_real * imaginary
            grads[p, d] = grad_real * theta[d] + grad_imaginary * theta[half + d]
            grads[p, half + d] = grad_imaginary * theta[d] - grad_real * theta[half + d]
