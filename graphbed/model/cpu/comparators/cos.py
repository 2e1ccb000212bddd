"""Cos: the score is the dot product of the vectors scaled to length 1; a zero vector stays zero."""

import numpy as np

from graphbed.model.cpu.slots import compared_part

COS_EPSILON = np.float32(1e-12)
"""Added to the squared length: a zero vector scores 0 and has finite gradients; lengths above 1e-5 hardly change."""

COS_ONE = np.float32(1)


def make_comparable(vectors: np.ndarray, out: np.ndarray, scales: np.ndarray) -> np.ndarray:
    inputs, outputs = compared_part(vectors), compared_part(out)
    for p in range(vectors.shape[0]):
        squares = COS_EPSILON
        for d in range(inputs.shape[1]):
            squares += inputs[p, d] * inputs[p, d]
        scale = COS_ONE / np.sqrt(squares)
        scales[p] = scale
        out[p, 0] = vectors[p, 0]
        for d in range(inputs.shape[1]):
            outputs[p, d] = inputs[p, d] * scale
    return out


def pull_back_comparator(compared: np.ndarray, scales: np.ndarray, grads: np.ndarray) -> None:
    # y = x/√(|x|²+ε) has the derivative (1 − y yᵀ)/√(|x|²+ε), exactly.
    for p in range(compared.shape[0]):
        along = np.float32(0)
        for d in range(compared.shape[1]):
            along += compared[p, d] * grads[p, d]
        for d in range(compared.shape[1]):
            grads[p, d] = scales[p] * (grads[p, d] - along * compared[p, d])
