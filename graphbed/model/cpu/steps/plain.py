"""The step of plain relations: the operator acts on the rhs, and both sides compare the same vectors.

So the same-batch block of the lhs's scores is the transpose of the rhs's: it is computed once, and the derivatives of
both are added before the way back.
"""

import numpy as np

from graphbed.model.cpu.chunk import (
    begin_chunk,
    collect_shared,
    find_relations,
    finish_chunk,
    regularize_entities,
    regularize_relations,
)
from graphbed.model.cpu.negatives import add_to_diagonal, copy_diagonal, cost_of_side, mask_known, mask_own
from graphbed.model.cpu.phases import BACKWARD, GATHER, LOSS, SCORES, UPDATE, end_phase
from graphbed.model.cpu.slots import (
    add_biases,
    add_pair_biases,
    apply_operator,
    compared_part,
    make_comparable,
    pull_back_biases,
    pull_back_block,
    pull_back_comparator,
    pull_back_operator,
    pull_back_pair_biases,
    pull_back_pairs,
    score_block,
    score_pairs,
)
from graphbed.model.cpu.workspace import Edges, Numbers, Side, Workspace

# Shapes: N edges of the chunk, L and R entities of the lhs and of the rhs (the edges' own first, then the drawn
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
    left_scales: np.ndarray,
    right: np.ndarray,
    right_scales: np.ndarray,
    edges: Edges,
    lhs: Side,
    rhs: Side,
    numbers: Numbers,
    work: Workspace,
    same_table: int,
    left_grads: np.ndarray,
    right_grads: np.ndarray,
) -> float:
    """Score left [L, D] against right [R, D] on both sides, set their gradients, return the loss.

    A bias is the first number of left and right; the others are what the comparator made.
    """
    count, half, most = edges.weight.shape[0], work.rows.shape[0] // 2, work.distinct.shape[0]
    first = 0 if numbers.batch else count
    lhs_columns, rhs_columns = left.shape[0] - first, right.shape[0] - first
    lhs_scores = work.scores[0, : count * lhs_columns].reshape(count, lhs_columns)
    rhs_scores = work.scores[1, : count * rhs_columns].reshape(count, rhs_columns)
    lhs_kept = work.kept[0, : count * lhs_columns].reshape(count, lhs_columns)[:, count - first :]
    rhs_kept = work.kept[1, : count * rhs_columns].reshape(count, rhs_columns)
    lhs_drawn = lhs_scores[:, count - first :]
    lhs_positives, rhs_positives = work.positives[:count], work.positives[most : most + count]
    own_left, own_right = compared_part(left[:count]), compared_part(right[:count])

    score_block(own_left, left_scales[:count], compared_part(right[first:]), right_scales[first:], rhs_scores, rhs_kept)
    add_biases(left[:count], right[first:], rhs_scores)
    score_block(own_right, right_scales[:count], compared_part(left[count:]), left_scales[count:], lhs_drawn, lhs_kept)
    add_biases(right[:count], left[count:], lhs_drawn)
    if numbers.batch:
        transpose(rhs_scores[:, :count], lhs_scores)
        copy_diagonal(rhs_scores, rhs_positives)
    else:
        score_pairs(own_left, own_right, rhs_positives)
        add_pair_biases(left[:count], right[:count], rhs_positives)
    lhs_positives[:] = rhs_positives

    end_phase(work.clock, SCORES)
    loss = 0.0
    if numbers.lhs_side:
        negatives = work.negatives[:count]
        mask_own(lhs_scores, work.owner, first, work.head, work.same, negatives)
        mask_known(
            lhs_scores, first, left.shape[0], edges.lhs_known, work.rows, work.owner, work.slots[0], work, negatives
        )
        loss += cost_of_side(
            lhs_scores, lhs_positives, negatives, edges.weight, numbers, lhs.table, work.ahead[: left.shape[0]]
        )
    else:
        lhs_scores[:] = np.float32(0)
        lhs_positives[:] = np.float32(0)
    if numbers.rhs_side:
        negatives = work.negatives[most : most + count]
        mask_own(rhs_scores, work.owner[half:], first, work.head, work.same, negatives)
        mask_known(
            rhs_scores,
            half + first,
            half + right.shape[0],
            edges.rhs_known,
            work.rows,
            work.owner,
            work.slots[0 if same_table else 1],
            work,
            negatives,
        )
        loss += cost_of_side(
            rhs_scores,
            rhs_positives,
            negatives,
            edges.weight,
            numbers,
            rhs.table,
            work.ahead[half : half + right.shape[0]],
        )
    else:
        rhs_scores[:] = np.float32(0)
        rhs_positives[:] = np.float32(0)

    end_phase(work.clock, LOSS)
    for i in range(count):
        rhs_positives[i] += lhs_positives[i]
    if numbers.batch:
        add_transposed(lhs_scores[:, :count], rhs_scores)
        add_to_diagonal(rhs_scores, rhs_positives)
    left_grads[:, 0] = np.float32(0)
    right_grads[:, 0] = np.float32(0)
    pull_back_biases(rhs_scores, left_grads, right_grads[first:])
    pull_back_biases(lhs_drawn, right_grads, left_grads[count:])
    pull_back_block(
        rhs_scores,
        rhs_kept,
        own_left,
        compared_part(right[first:]),
        compared_part(left_grads[:count]),
        False,
        compared_part(right_grads[first:]),
        False,
    )
    if not numbers.batch:
        own = compared_part(right_grads[:count])
        own[:] = np.float32(0)
        pull_back_pair_biases(rhs_positives, left_grads, right_grads)
        pull_back_pairs(rhs_positives, own_left, own_right, compared_part(left_grads), compared_part(right_grads))
    pull_back_block(
        lhs_drawn,
        lhs_kept,
        own_right,
        compared_part(left[count:]),
        compared_part(right_grads[:count]),
        True,
        compared_part(left_grads[count:]),
        False,
    )
    return loss


def train_chunk(
    edges: Edges, lhs: Side, rhs: Side, numbers: Numbers, work: Workspace, same_table: int
) -> tuple[float, np.float32]:
    count, half, most = edges.weight.shape[0], work.rows.shape[0] // 2, work.distinct.shape[0]
    lhs_stop, rhs_stop = count + numbers.lhs_drawn, half + count + numbers.rhs_drawn
    begin_chunk(edges, lhs, rhs, numbers, work, same_table)
    end_phase(work.clock, GATHER)
    relations = find_relations(edges.relation_rows, rhs.operator, work)
    # One relation a chunk, for the drawn negatives as well.
    work.relations[: rhs_stop - half] = edges.relation_rows[0]
    work.local[: rhs_stop - half] = 0

    values = rhs.operator.values
    lhs_points, rhs_points = work.points[:lhs_stop], work.points[half:rhs_stop]
    lhs_scales, rhs_scales = work.scales[:lhs_stop], work.scales[half:rhs_stop]
    lhs_grads, rhs_grads = work.grads[:lhs_stop], work.grads[half:rhs_stop]
    moved = apply_operator(rhs_points, values, work.relations, work.compared[half:rhs_stop])
    left = make_comparable(lhs_points, work.compared[:lhs_stop], lhs_scales)
    right = make_comparable(moved, work.compared[half:rhs_stop], rhs_scales)
    loss = train_pairs(
        left, lhs_scales, right, rhs_scales, edges, lhs, rhs, numbers, work, same_table, lhs_grads, rhs_grads
    )
    pull_back_comparator(compared_part(left), lhs_scales, compared_part(lhs_grads))
    pull_back_comparator(compared_part(right), rhs_scales, compared_part(rhs_grads))
    value_grads = work.value_grads[most:]
    pull_back_operator(rhs_points, values, work.relations, work.local, rhs_grads, value_grads)

    collect_shared(lhs, lhs_grads, rhs_grads, work)
    if numbers.regularization > np.float32(0):
        regularize_entities(edges, lhs, rhs, numbers, work, lhs_grads, rhs_grads)
        regularize_relations(edges.relation_rows, edges.weight, numbers, work, 0, values, value_grads)
        regularize_relations(edges.relation_rows, edges.weight, numbers, work, 1, values, value_grads)
    end_phase(work.clock, BACKWARD)
    squares = finish_chunk(lhs, rhs, numbers, work, same_table, relations, count)
    end_phase(work.clock, UPDATE)
    return loss, squares
