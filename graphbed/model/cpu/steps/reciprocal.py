"""The step of reciprocal groups: each side has queries of its own, made of the other side's entity by the operator."""

import numpy as np

from graphbed.model.cpu.chunk import (
    add_rows,
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

# Shapes: N edges of the chunk, P entities of a side (its own first, then the uniform negatives), D dimension.


def train_queries(
    points: np.ndarray,
    values: np.ndarray,
    relation_rows: np.ndarray,
    candidates: np.ndarray,
    owner: np.ndarray,
    weight: np.ndarray,
    numbers: Numbers,
    work: Workspace,
    side: int,
    grads: np.ndarray,
    point_grads: np.ndarray,
) -> float:
    """Train the candidates of one side (0 lhs, 1 rhs); returns the loss.

    Queries are made of points [N, D], the other side's entities; candidates [P, D] begin with the edges' own. Sets
    grads [P, D] of the candidates and point_grads [N, D] of the points, adds to the side's part of `work.value_grads`.
    """
    edges, places, half = points.shape[0], candidates.shape[0], side * work.distinct.shape[0]
    first = 0 if numbers.batch else edges
    positives, negatives = work.positives[half : half + edges], work.negatives[half : half + edges]
    scales, buffer = work.query_scales[half : half + edges], work.queries[half : half + edges]
    scores = work.scores[side, : edges * (places - first)].reshape(edges, places - first)

    queries = make_comparable(apply_operator(points, values, relation_rows, buffer), buffer, scales)
    matmul(queries, candidates[first:].T, scores, False)
    if numbers.batch:
        copy_diagonal(scores, positives)
    else:
        dot_rows(queries, candidates, positives)
    mask_own(scores, owner, first, work.head, work.same, negatives)
    loss = cost_of_side(scores, positives, negatives, weight, numbers.margin)

    if numbers.batch:
        add_to_diagonal(scores, positives)
    matmul(scores, candidates[first:], point_grads, False)
    matmul(scores.T, queries, grads[first:], False)
    if not numbers.batch:
        grads[:edges] = np.float32(0)
        add_scaled_rows(positives, queries, grads)
        add_scaled_rows(positives, candidates[:edges], point_grads)
    pull_back_comparator(queries, scales, point_grads)
    pull_back_operator(points, values, relation_rows, work.local, point_grads, work.value_grads[half:])
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

    lhs_points, rhs_points = work.points[:edges], work.points[half : half + edges]
    lhs_owner, rhs_owner = work.owner[:lhs_stop], work.owner[half:rhs_stop]
    lhs_scales, rhs_scales = work.scales[:lhs_stop], work.scales[half:rhs_stop]
    lhs_grads, rhs_grads = work.grads[:lhs_stop], work.grads[half:rhs_stop]
    lhs_point_grads, rhs_point_grads = work.query_grads[:edges], work.query_grads[most : most + edges]
    loss = 0.0
    if numbers.lhs_side:
        candidates = make_comparable(work.points[:lhs_stop], work.compared[:lhs_stop], lhs_scales)
        loss += train_queries(
            rhs_points, lhs_values.values, relation_rows, candidates, lhs_owner, weight, numbers, work, 0,
            lhs_grads, rhs_point_grads,
        )  # fmt: skip
        pull_back_comparator(candidates, lhs_scales, lhs_grads)
    else:
        lhs_grads[:] = np.float32(0)
    if numbers.rhs_side:
        candidates = make_comparable(work.points[half:rhs_stop], work.compared[half:rhs_stop], rhs_scales)
        loss += train_queries(
            lhs_points, rhs_values.values, relation_rows, candidates, rhs_owner, weight, numbers, work, 1,
            rhs_grads, lhs_point_grads,
        )  # fmt: skip
        pull_back_comparator(candidates, rhs_scales, rhs_grads)
        add_rows(lhs_point_grads, lhs_grads)
    else:
        rhs_grads[:] = np.float32(0)
    if numbers.lhs_side:
        add_rows(rhs_point_grads, rhs_grads)

    if numbers.regularization > np.float32(0):
        regularize_entities(weight, numbers, work, lhs_points, rhs_points, lhs_grads, rhs_grads)
        regularize_relations(relation_rows, weight, numbers, work, 0, lhs_values.values, work.value_grads)
        regularize_relations(relation_rows, weight, numbers, work, 1, rhs_values.values, work.value_grads[most:])
    return loss, finish_chunk(lhs, rhs, lhs_values, rhs_values, numbers, work, relations, edges)
