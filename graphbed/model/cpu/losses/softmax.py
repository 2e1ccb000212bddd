"""Softmax: −log of the positive's share of e^score among itself and the negatives."""

import numpy as np

from graphbed.model.cpu.exponential import exp32
from graphbed.model.cpu.intrinsics import maximum


def edge_loss(
    scores: np.ndarray,
    positive: np.float32,
    negatives: int,  # noqa: ARG001
    weight: np.float32,
    margin: np.float32,  # noqa: ARG001
    temperature: np.float32,  # noqa: ARG001
) -> tuple[np.float32, np.float32]:
    highest = positive
    for j in range(scores.shape[0]):
        highest = maximum(highest, scores[j])
    total = np.float32(0)
    for j in range(scores.shape[0]):
        share = exp32(scores[j] - highest)
        scores[j] = share
        total += share
    factor = weight / (total + exp32(positive - highest))
    for j in range(scores.shape[0]):
        scores[j] *= factor
    loss = np.log(total + exp32(positive - highest)) - (positive - highest)
    return loss * weight, -total * factor
