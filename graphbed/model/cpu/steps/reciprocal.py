"""The step of reciprocal groups: each side has queries of its own, made of the other side's entity by the operator."""

import numpy as np

from graphbed.model.cpu.chunk import (
    add_rows,
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
from graphbed.model.cpu.workspace import Edges, Known, Learned, Numbers, Side, Workspace

# Shapes: N edges of the chunk, P entities of a side (its own first, then the drawn negatives), D dimension.


def train_queries(
    points: np.ndarray,
    values: np.ndarray,
    edges: Edges,
    known: Known,
    candidates: np.ndarray,
    candidate_scales: np.ndarray,
    table: Learned,
    slots: np.ndarray,
    numbers: Numbers,
    work: Workspace,
    side: int,
    grads: np.ndarray,
    point_grads: np.ndarray,
) -> float:
    """Train the candidates of one side (0 lhs, 1 rhs); returns the loss.

    Queries are made of points [N, D], the other side's entities; candidates [P, D] begin with the edges' own, and are
    rows of `table`. Sets grads [P, D] of the candidates and point_grads [N, D] of the points, adds to the side's part
    of `work.value_grads`.
    """
    count, places, half = points.shape[0], candidates.shape[0], side * work.distinct.shape[0]
    start = side * (work.rows.shape[0] // 2)
    first = 0 if numbers.batch else count
    positives, negatives = work.positives[half : half + count], work.negatives[half : half + count]
    scales, buffer = work.query_scales[half : half + count], work.queries[half : half + count]
    scores = work.scores[side, : count * (places - first)].reshape(count, places - first)
    kept = work.kept[side, : count * (places - first)].reshape(count, places - first)
    compared, own = compared_part(candidates[first:]), compared_part(candidates[:count])

    made = make_comparable(apply_operator(points, values, edges.relation_rows, buffer), buffer, scales)
    queries = compared_part(made)
    score_block(queries, scales, compared, candidate_scales[first:], scores, kept)
    add_biases(made, candidates[first:], scores)
    if numbers.batch:
        copy_diagonal(scores, positives)
    else:
        score_pairs(queries, own, positives)
        add_pair_biases(made, candidates, positives)
    end_phase(work.clock, SCORES)
    mask_own(scores, work.owner[start:], first, work.head, work.same, negatives)
    mask_known(scores, start + first, start + places, known, work.rows, work.owner, slots, work, negatives)
    ahead = work.ahead[start : start + places]
    loss = cost_of_side(scores, positives, negatives, edges.weight, numbers, table, ahead)

    end_phase(work.clock, LOSS)
    if numbers.batch:
        add_to_diagonal(scores, positives)
    grads[:, 0] = np.float32(0)
    point_grads[:, 0] = np.float32(0)
    pull_back_biases(scores, point_grads, grads[first:])
    pull_back_block(
        scores, kept, queries, compared, compared_part(point_grads), False, compared_part(grads[first:]), False
    )
    if not numbers.batch:
        own_grads = compared_part(grads[:count])
        own_grads[:] = np.float32(0)
        pull_back_pair_biases(positives, point_grads, grads)
        pull_back_pairs(positives, queries, own, compared_part(point_grads), own_grads)
    pull_back_comparator(queries, scales, compared_part(point_grads))
    pull_back_operator(points, values, edges.relation_rows, work.local, point_grads, work.value_grads[half:])
    end_phase(work.clock, BACKWARD)
    return loss


def train_chunk(
    edges: Edges, lhs: Side, rhs: Side, numbers: Numbers, work: Workspace, same_table: int
) -> tuple[float, np.float32]:
    count, half, most = edges.weight.shape[0], work.rows.shape[0] // 2, work.distinct.shape[0]
    lhs_stop, rhs_stop = count + numbers.lhs_drawn, half + count + numbers.rhs_drawn
    begin_chunk(edges, lhs, rhs, numbers, work, same_table)
    end_phase(work.clock, GATHER)
    relations = find_relations(edges.relation_rows, rhs.operator, work)

    lhs_points, rhs_points = work.points[:count], work.points[half : half + count]
    lhs_scales, rhs_scales = work.scales[:lhs_stop], work.scales[half:rhs_stop]
    lhs_grads, rhs_grads = work.grads[:lhs_stop], work.grads[half:rhs_stop]
    lhs_point_grads, rhs_point_grads = work.query_grads[:count], work.query_grads[most : most + count]
    loss = 0.0
    if numbers.lhs_side:
        candidates = make_comparable(work.points[:lhs_stop], work.compared[:lhs_stop], lhs_scales)
        loss += train_queries(
            rhs_points, lhs.operator.values, edges, edges.lhs_known, candidates, lhs_scales, lhs.table,
            work.slots[0], numbers, work, 0, lhs_grads, rhs_point_grads,
        )  # fmt: skip
        pull_back_comparator(compared_part(candidates), lhs_scales, compared_part(lhs_grads))
    else:
        lhs_grads[:] = np.float32(0)
    if numbers.rhs_side:
        candidates = make_comparable(work.points[half:rhs_stop], work.compared[half:rhs_stop], rhs_scales)
        loss += train_queries(
            lhs_points, rhs.operator.values, edges, edges.rhs_known, candidates, rhs_scales, rhs.table,
            work.slots[0 if same_table else 1], numbers, work, 1, rhs_grads, lhs_point_grads,
        )  # fmt: skip
        pull_back_comparator(compared_part(candidates), rhs_scales, compared_part(rhs_grads))
        add_rows(lhs_point_grads, lhs_grads)
    else:
        rhs_grads[:] = np.float32(0)
    if numbers.lhs_side:
        add_rows(rhs_point_grads, rhs_grads)

    collect_shared(lhs, lhs_grads, rhs_grads, work)
    if numbers.regularization > np.float32(0):
        regularize_entities(edges, lhs, rhs, numbers, work, lhs_grads, rhs_grads)
        regularize_relations(edges.relation_rows, edges.weight, numbers, work, 0, lhs.operator.values, work.value_grads)
        regularize_relations(
            edges.relation_rows, edges.weight, numbers, work, 1, rhs.operator.values, work.value_grads[most:]
        )
    end_phase(work.clock, BACKWARD)
    squares = finish_chunk(lhs, rhs, numbers, work, same_table, relations, count)
    end_phase(work.clock, UPDATE)
    return loss, squares
