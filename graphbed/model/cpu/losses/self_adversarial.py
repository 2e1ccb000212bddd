"""Self-adversarial: −log σ(γ + s) − Σ p log σ(−γ − t), where p, the softmax of α·t, counts as a constant.

Source: Sun, Deng, Nie, Tang, "RotatE", ICLR 2019.
"""

import numpy as np

from graphbed.model.cpu.exponential import exp32, softplus_of_exp
from graphbed.model.cpu.intrinsics import maximum
from graphbed.model.cpu.negatives import MASKED


def edge_loss(
    scores: np.ndarray,
    positive: np.float32,
    negatives: int,  # noqa: ARG001
    weight: np.float32,
    margin: np.float32,
    temperature: np.float32,
) -> tuple[np.float32, np.float32]:
    one = np.float32(1)
    highest = scores[0]
    for j in range(scores.shape[0]):
        highest = maximum(highest, scores[j])
    total = np.float32(0)
    for j in range(scores.shape[0]):
        # Products with 0 instead of branches, for vector code.
        kept = np.float32(0) if scores[j] == MASKED else one
        total += kept * exp32(temperature * (scores[j] - highest))
    loss = np.float32(0)
    for j in range(scores.shape[0]):
        score = margin + scores[j]
        # With a temperature of 0, a masked one would have a share.
        kept = np.float32(0) if scores[j] == MASKED else one
        share = kept * exp32(temperature * (scores[j] - highest)) / total
        decay = exp32(-np.abs(score))
        sigmoid = one / (one + decay)
        if score < np.float32(0):
            sigmoid *= decay
        loss += share * (max(score, np.float32(0)) + softplus_of_exp(decay))
        scores[j] = weight * share * sigmoid
    good = margin + positive
    decay = exp32(-np.abs(good))
    loss += max(-good, np.float32(0)) + softplus_of_exp(decay)
    one_minus_sigmoid = one / (one + decay)
    if good > np.float32(0):
        one_minus_sigmoid *= decay
    return loss * weight, -weight * one_minus_sigmoid
