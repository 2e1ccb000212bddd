"""The step of plain relations: the operator acts on the rhs, and both sides compare the same vectors.

So the same-batch block of the lhs's scores is the transpose of the rhs's: it is computed once, and the derivatives of
both are added before the way back.
"""

import numpy as np

from graphbed.model.cpu.chunk import (
    begin_chunk,
    find_relations,
    finish_chunk,
    regularize_entities,
    regularize_relations,
)
from graphbed.model.cpu.intrinsics import matmul
from graphbed.model.cpu.negatives import (
    add_scaled_rows,
    add_to_diagonal,
    copy_diagonal,
    cost_of_side,
    dot_rows,
    mask_own,
)
from graphbed.model.cpu.slots import apply_operator, make_comparable, pull_back_comparator, pull_back_operator
from graphbed.model.cpu.workspace import Learned, Numbers, Workspace

# Shapes: N edges of the chunk, L and R entities of the lhs and of the rhs (the edges' own first, then the uniform
# negatives), D dimension. Column j of a side's scores belongs to its entity `first` + j.


def transpose(block: np.ndarray, out: np.ndarray) -> None:
    """out[j, i] = block[i, j]."""
    for i in range(block.shape[0]):
        for j in range(block.shape[1]):
            out[j, i] = block[i, j]


def add_transposed(block: np.ndarray, out: np.ndarray) -> None:
    """out[j, i] += block[i, j]."""
    for i in range(block.shape[0]):
        for j in range(block.shape[1]):
            out[j, i] += block[i, j]


def train_pairs(
    left: np.ndarray,
    right: np.ndarray,
    weight: np.ndarray,
    numbers: Numbers,
    work: Workspace,
    left_grads: np.ndarray,
    right_grads: np.ndarray,
) -> float:
    """Score left [L, D] against right [R, D] on both sides, set their gradients, return the loss."""
    edges, half, most = weight.shape[0], work.rows.shape[0] // 2, work.distinct.shape[0]
    first = 0 if numbers.batch else edges
    lhs_scores = work.scores[0, : edges * (left.shape[0] - first)].reshape(edges, left.shape[0] - first)
    rhs_scores = work.scores[1, : edges * (right.shape[0] - first)].reshape(edges, right.shape[0] - first)
    lhs_positives, rhs_positives = work.positives[:edges], work.positives[most : most + edges]

    matmul(left[:edges], right[first:].T, rhs_scores, False)
    matmul(right[:edges], left[edges:].T, lhs_scores[:, edges - first :], False)
    if numbers.batch:
        transpose(rhs_scores[:, :edges], lhs_scores)
        copy_diagonal(rhs_scores, rhs_positives)
    else:
        dot_rows(left[:edges], right, rhs_positives)
    lhs_positives[:] = rhs_positives

    loss = 0.0
    if numbers.lhs_side:
        negatives = work.negatives[:edges]
        mask_own(lhs_scores, work.owner, first, work.head, work.same, negatives)
        loss += cost_of_side(lhs_scores, lhs_positives, negatives, weight, numbers.margin)
    else:
        lhs_scores[:] = np.float32(0)
        lhs_positives[:] = np.float32(0)
    if numbers.rhs_side:
        negatives = work.negatives[most : most + edges]
        mask_own(rhs_scores, work.owner[half:], first, work.head, work.same, negatives)
        loss += cost_of_side(rhs_scores, rhs_positives, negatives, weight, numbers.margin)
    else:
        rhs_scores[:] = np.float32(0)
        rhs_positives[:] = np.float32(0)

    for i in range(edges):
        rhs_positives[i] += lhs_positives[i]
    if numbers.batch:
        add_transposed(lhs_scores[:, :edges], rhs_scores)
        add_to_diagonal(rhs_scores, rhs_positives)
    matmul(rhs_scores, right[first:], left_grads[:edges], False)
    matmul(rhs_scores.T, left[:edges], right_grads[first:], False)
    if not numbers.batch:
        right_grads[:edges] = np.float32(0)
        add_scaled_rows(rhs_positives, left[:edges], right_grads)
        add_scaled_rows(rhs_positives, right[:edges], left_grads)
    matmul(lhs_scores[:, edges - first :].T, right[:edges], left_grads[edges:], False)
    matmul(lhs_scores[:, edges - first :], left[edges:], right_grads[:edges], True)
    return loss


def train_chunk(
    lhs_rows: np.ndarray,
    relation_rows: np.ndarray,
    rhs_rows: np.ndarray,
    weight: np.ndarray,
    lhs: Learned,
    rhs: Learned,
    lhs_values: Learned,
    rhs_values: Learned,
    numbers: Numbers,
    work: Workspace,
    same_table: int,
    key: np.uint64,
) -> tuple[float, np.float32]:
    edges, half, most = lhs_rows.shape[0], work.rows.shape[0] // 2, work.distinct.shape[0]
    lhs_stop, rhs_stop = edges + numbers.lhs_uniform, half + edges + numbers.rhs_uniform
    begin_chunk(lhs_rows, rhs_rows, lhs, rhs, numbers, work, same_table, key)
    relations = find_relations(relation_rows, rhs_values, work)
    # One relation a chunk, for the uniform negatives as well.
    work.relations[: rhs_stop - half] = relation_rows[0]
    work.local[: rhs_stop - half] = 0

    lhs_points, rhs_points = work.points[:lhs_stop], work.points[half:rhs_stop]
    lhs_scales, rhs_scales = work.scales[:lhs_stop], work.scales[half:rhs_stop]
    lhs_grads, rhs_grads = work.grads[:lhs_stop], work.grads[half:rhs_stop]
    buffer = work.compared[half:rhs_stop]
    left = make_comparable(lhs_points, work.compared[:lhs_stop], lhs_scales)
    right = make_comparable(apply_operator(rhs_points, rhs_values.values, work.relations, buffer), buffer, rhs_scales)
    loss = train_pairs(left, right, weight, numbers, work, lhs_grads, rhs_grads)
    pull_back_comparator(left, lhs_scales, lhs_grads)
    pull_back_comparator(right, rhs_scales, rhs_grads)
    value_grads = work.value_grads[most:]
    pull_back_operator(rhs_points, rhs_values.values, work.relations, work.local, rhs_grads, value_grads)

    if numbers.regularization > np.float32(0):
        regularize_entities(weight, numbers, work, lhs_points, rhs_points, lhs_grads, rhs_grads)
        regularize_relations(relation_rows, weight, numbers, work, 0, rhs_values.values, value_grads)
        regularize_relations(relation_rows, weight, numbers, work, 1, rhs_values.values, value_grads)
    return loss, finish_chunk(lhs, rhs, lhs_values, rhs_values, numbers, work, relations, edges)
