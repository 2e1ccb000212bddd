"""Rotation: y turned by the relation's D/2 angles; the first half of a vector is real, the second imaginary."""

import numpy as np

from graphbed.model.cpu.runs import end_of_run


def apply_operator(points: np.ndarray, values: np.ndarray, relations: np.ndarray, out: np.ndarray) -> np.ndarray:
    half, start = points.shape[1] // 2, 0
    while start < points.shape[0]:
        stop = end_of_run(relations, start, points.shape[0])
        cosine, sine = np.cos(values[relations[start]]), np.sin(values[relations[start]])
        for p in range(start, stop):
            for d in range(half):
                real, imaginary = points[p, d], points[p, half + d]
                out[p, d] = real * cosine[d] - imaginary * sine[d]
                out[p, half + d] = real * sine[d] + imaginary * cosine[d]
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
    # Turning back by the same angle; the angle's own gradient is that of the result along its turning.
    half, start = points.shape[1] // 2, 0
    while start < points.shape[0]:
        stop = end_of_run(relations, start, points.shape[0])
        cosine, sine = np.cos(values[relations[start]]), np.sin(values[relations[start]])
        angle_grad = value_grads[local[start]]
        for p in range(start, stop):
            for d in range(half):
                real, imaginary = points[p, d], points[p, half + d]
                back_real = grads[p, d] * cosine[d] + grads[p, half + d] * sine[d]
                back_imaginary = grads[p, half + d] * cosine[d] - grads[p, d] * sine[d]
                angle_grad[d] += back_imaginary * real - back_real * imaginary
                grads[p, d], grads[p, half + d] = back_real, back_imaginary
        start = stop
