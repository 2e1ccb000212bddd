"""Logistic: cross-entropy of the positive against 1, plus the mean cross-entropy of the negatives against 0."""

import numpy as np

from graphbed.model.cpu.exponential import exp32, softplus_of_exp


def edge_loss(
    scores: np.ndarray,
    positive: np.float32,
    negatives: int,
    weight: np.float32,
    margin: np.float32,  # noqa: ARG001
    temperature: np.float32,  # noqa: ARG001
) -> tuple[np.float32, np.float32]:
    one = np.float32(1)
    share = weight / np.float32(negatives)
    loss = np.float32(0)
    for j in range(scores.shape[0]):
        score = scores[j]
        decay = exp32(-np.abs(score))
        loss += max(score, np.float32(0)) + softplus_of_exp(decay)
        sigmoid = one / (one + decay)
        if score < np.float32(0):
            sigmoid *= decay
        scores[j] = share * sigmoid
    decay = exp32(-np.abs(positive))
    loss_of_positive = max(-positive, np.float32(0)) + softplus_of_exp(decay)
    one_minus_sigmoid = one / (one + decay)
    if positive > np.float32(0):
        one_minus_sigmoid *= decay
    return share * loss + weight * loss_of_positive, -weight * one_minus_sigmoid
