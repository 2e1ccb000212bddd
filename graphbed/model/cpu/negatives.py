"""Negatives: which candidates are none, what the others cost."""

import numpy as np

from graphbed.model.cpu.rows import find_owner, prefetch_part
from graphbed.model.cpu.slots import edge_loss
from graphbed.model.cpu.workspace import Known, Learned, Numbers, Workspace

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


def mask_known(
    scores: np.ndarray,
    first: int,
    stop: int,
    known: Known,
    rows: np.ndarray,
    owner: np.ndarray,
    slots: np.ndarray,
    work: Workspace,
    negatives: np.ndarray,
) -> None:
    """Mask the candidates that make another known edge; negatives [N] is lowered by as many.

    scores [N, J] belong to the places first … stop − 1 of all places; `known` holds the lists of these edges.
    """
    if known.first.shape[0] == 0:
        return
    for p in range(first, stop):
        work.place_same[p] = work.place_head[owner[p]]
        work.place_head[owner[p]] = p
    for i in range(scores.shape[0]):
        for k in range(known.first[i], known.stop[i]):
            holder = find_owner(known.rows[k], rows, slots)
            p = work.place_head[holder] if holder >= 0 else -1
            while p >= 0:
                if scores[i, p - first] != MASKED:
                    scores[i, p - first] = MASKED
                    negatives[i] -= 1
                p = work.place_same[p]
    for p in range(first, stop):
        work.place_head[owner[p]] = -1


def cost_of_side(
    scores: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    weight: np.ndarray,
    numbers: Numbers,
    table: Learned,
    ahead: np.ndarray,
) -> float:
    """Loss of one side; scores [N, J] and positives [N] become its derivatives, 0 for an edge without negatives.

    On the way, the rows `ahead` of `table` are prefetched, a few with each edge.
    """
    loss = 0.0
    for i in range(scores.shape[0]):
        prefetch_part(table, ahead, i, scores.shape[0])
        if negatives[i] > 0:
            edge, derivative = edge_loss(
                scores[i], positives[i], negatives[i], weight[i], numbers.margin, numbers.temperature
            )
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
