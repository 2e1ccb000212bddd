"""Ranking: Σ max(0, margin − positive + negative)."""

import numpy as np


def edge_loss(
    scores: np.ndarray,
    positive: np.float32,
    negatives: int,  # noqa: ARG001
    weight: np.float32,
    margin: np.float32,
    temperature: np.float32,  # noqa: ARG001
) -> tuple[np.float32, np.float32]:
    shift = margin - positive
    loss = np.float32(0)
    violations = np.float32(0)
    for j in range(scores.shape[0]):
        violation = shift + scores[j]
        # Written so that NaN counts as a violation and shows in the loss, and without branches, for vector code.
        violated = np.float32(0) if violation <= np.float32(0) else np.float32(1)
        scores[j] = violated * weight
        loss += violated * violation
        violations += violated
    return loss * weight, -violations * weight
