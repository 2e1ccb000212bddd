"""Negatives: which candidates are none, what the others cost."""

import numpy as np

from graphbed.model.cpu.slots import edge_loss

# Shapes: N edges of the chunk, J candidates.

MASKED = np.float32(-1e30)
"""The score of a candidate that is no negative: too low to cost anything, and finite, so that NaN means trouble."""


def mask_own(
    scores: np.ndarray, owner: np.ndarray, first: int, head: np.ndarray, same: np.ndarray, negatives: np.ndarray
) -> None:
    """Mask the candidates that are the edge's own entity; negatives [N] = how many each edge has left.

    scores [N, J] belong to the places first, first + 1, …; `owner` begins with the edges' own entities.
    """
    edges = scores.shape[0]
    for i in range(edges):
        negatives[i] = scores.shape[1]
        same[i] = head[owner[i]]
        head[owner[i]] = i
    for j in range(scores.shape[1]):
        i = head[owner[first + j]]
        while i >= 0:
            scores[i, j] = MASKED
            negatives[i] -= 1
            i = same[i]
    for i in range(edges):
        head[owner[i]] = -1


def cost_of_side(
    scores: np.ndarray, positives: np.ndarray, negatives: np.ndarray, weight: np.ndarray, margin: np.float32
) -> float:
    """Loss of one side; scores [N, J] and positives [N] become its derivatives, 0 for an edge without negatives."""
    loss = 0.0
    for i in range(scores.shape[0]):
        if negatives[i] > 0:
            edge, derivative = edge_loss(scores[i], positives[i], negatives[i], weight[i], margin)
            loss += float(edge)
            positives[i] = derivative
        else:
            positives[i] = np.float32(0)
            scores[i] = np.float32(0)
    return loss


def add_to_diagonal(scores: np.ndarray, positives: np.ndarray) -> None:
    """scores[i, i] += positives[i]: an edge's own score is on the diagonal of the same-batch block."""
    for i in range(scores.shape[0]):
        scores[i, i] += positives[i]


def copy_diagonal(scores: np.ndarray, positives: np.ndarray) -> None:
    """positives[i] = scores[i, i]."""
    for i in range(scores.shape[0]):
        positives[i] = scores[i, i]


def dot_rows(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """out[i] = a[i] · b[i]."""
    for i in range(a.shape[0]):
        total = np.float32(0)
        for d in range(a.shape[1]):
            total += a[i, d] * b[i, d]
        out[i] = total


def add_scaled_rows(factors: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """out[i] += factors[i] · rows[i]."""
    for i in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            out[i, d] += factors[i] * rows[i, d]
