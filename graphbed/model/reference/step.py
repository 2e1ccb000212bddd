"""One chunk in torch: scores, loss, gradients, update."""

from dataclasses import dataclass

import torch
from torch import Tensor

from graphbed.config.job import Operator
from graphbed.model.kernel import Hyper, KernelSpec
from graphbed.model.reference.losses import loss_and_derivatives
from graphbed.model.reference.operators import (
    apply_operator,
    make_comparable,
    pull_back_comparator,
    pull_back_operator,
    regularizer_gradient,
)
from graphbed.model.reference.updates import update_rows

# Shapes: N edges of the chunk, P entities of a side (the edges' own first, then its uniform negatives), V rows of a
# table, Rg relations of the group, D dimension.


@dataclass(slots=True, kw_only=True)
class Pair:
    """Values and their Adagrad sums on the device."""

    values: Tensor
    """[V, D] or [Rg, D]."""
    sums: Tensor
    """[V, 1], [V, D] or [Rg, D]."""


@dataclass(slots=True, kw_only=True)
class Entities:
    """The entities of one side of a chunk."""

    rows: Tensor
    """int64 [P]."""
    points: Tensor
    """[P, D], as they are in the table."""
    grads: Tensor
    """[P, D]."""


@dataclass(slots=True, kw_only=True)
class Chunk:
    """What a step works on."""

    lhs: Entities
    rhs: Entities
    relations: Tensor
    """int64 [N]."""
    weight: Tensor
    """[N]."""


def train_chunk(
    spec: KernelSpec, hyper: Hyper, chunk: Chunk, lhs: Pair, rhs: Pair, lhs_values: Pair, rhs_values: Pair
) -> tuple[float, bool]:
    """Train one chunk; returns the loss, and whether all gradients were finite. lhs and rhs may be one object."""
    train = _train_reciprocal if spec.reciprocal else _train_plain
    theta_grads = {
        side: torch.zeros((len(chunk.weight), chunk.lhs.points.shape[1])).to(chunk.weight) for side in ("lhs", "rhs")
    }
    loss, live = train(spec, hyper, chunk, _theta(lhs_values, chunk), _theta(rhs_values, chunk), theta_grads)
    if hyper.regularization > 0:
        _regularize(spec, hyper, chunk, live, lhs_values, rhs_values, theta_grads)
    if lhs is rhs:
        rows, grads = torch.cat([chunk.lhs.rows, chunk.rhs.rows]), torch.cat([chunk.lhs.grads, chunk.rhs.grads])
        finite = update_rows(lhs.values, lhs.sums, rows, grads, hyper.lr)
    else:
        finite = update_rows(lhs.values, lhs.sums, chunk.lhs.rows, chunk.lhs.grads, hyper.lr)
        finite &= update_rows(rhs.values, rhs.sums, chunk.rhs.rows, chunk.rhs.grads, hyper.lr)
    for side, pair in (("lhs", lhs_values), ("rhs", rhs_values)):
        if len(pair.values):
            finite &= update_rows(pair.values, pair.sums, chunk.relations, theta_grads[side], hyper.relation_lr)
    return loss, finite


def _train_reciprocal(
    spec: KernelSpec, hyper: Hyper, chunk: Chunk, lhs_theta: Tensor, rhs_theta: Tensor, theta_grads: dict[str, Tensor]
) -> tuple[float, dict[str, Tensor]]:
    edges = len(chunk.weight)
    loss, live = 0.0, {}
    for side, theta, source, target in (
        ("lhs", lhs_theta, chunk.rhs, chunk.lhs),
        ("rhs", rhs_theta, chunk.lhs, chunk.rhs),
    ):
        points = source.points[:edges]
        queries, query_scales = make_comparable(spec.comparator, apply_operator(spec.operator, points, theta))
        candidates, scales = make_comparable(spec.comparator, target.points)
        side_loss, by_queries, by_candidates, live[side] = _side(
            spec, hyper, side, queries, candidates, target.rows, chunk.weight
        )
        loss += side_loss
        target.grads += pull_back_comparator(spec.comparator, candidates, scales, by_candidates)
        by_results = pull_back_comparator(spec.comparator, queries, query_scales, by_queries)
        by_points, theta_grads[side] = pull_back_operator(spec.operator, points, theta, by_results)
        source.grads[:edges] += by_points
    return loss, live


def _train_plain(
    spec: KernelSpec,
    hyper: Hyper,
    chunk: Chunk,
    lhs_theta: Tensor,  # noqa: ARG001
    rhs_theta: Tensor,
    theta_grads: dict[str, Tensor],
) -> tuple[float, dict[str, Tensor]]:
    edges = len(chunk.weight)
    theta = rhs_theta[:1].expand_as(chunk.rhs.points)
    left, left_scales = make_comparable(spec.comparator, chunk.lhs.points)
    right, right_scales = make_comparable(spec.comparator, apply_operator(spec.operator, chunk.rhs.points, theta))
    by_left, by_right = torch.zeros_like(left), torch.zeros_like(right)
    loss, live = 0.0, {}
    for side, queries, query_grads, candidates, candidate_grads, rows in (
        ("lhs", right, by_right, left, by_left, chunk.lhs.rows),
        ("rhs", left, by_left, right, by_right, chunk.rhs.rows),
    ):
        side_loss, by_queries, by_candidates, live[side] = _side(
            spec, hyper, side, queries[:edges], candidates, rows, chunk.weight
        )
        loss += side_loss
        query_grads[:edges] += by_queries
        candidate_grads += by_candidates
    chunk.lhs.grads += pull_back_comparator(spec.comparator, left, left_scales, by_left)
    by_results = pull_back_comparator(spec.comparator, right, right_scales, by_right)
    by_points, by_theta = pull_back_operator(spec.operator, chunk.rhs.points, theta, by_results)
    chunk.rhs.grads += by_points
    theta_grads["rhs"][0] = by_theta.sum(0)
    return loss, live


def _side(
    spec: KernelSpec, hyper: Hyper, side: str, queries: Tensor, candidates: Tensor, rows: Tensor, weight: Tensor
) -> tuple[float, Tensor, Tensor, Tensor]:
    """Loss of one side, gradients of queries [N, D] and candidates [P, D], and which edges have negatives [N]."""
    edges = len(queries)
    scores = queries @ candidates.T
    positives = (queries * candidates[:edges]).sum(1)
    negative = rows[None, :] != rows[:edges, None]
    if not hyper.batch_negatives:
        negative[:, :edges] = False
    if not (hyper.lhs_negatives if side == "lhs" else hyper.rhs_negatives):
        negative[:] = False
    loss, by_scores, by_positives = loss_and_derivatives(spec.loss, scores, positives, negative, weight, hyper.margin)
    by_queries = by_scores @ candidates + by_positives[:, None] * candidates[:edges]
    by_candidates = by_scores.T @ queries
    by_candidates[:edges] += by_positives[:, None] * queries
    return loss, by_queries, by_candidates, negative.any(1)


def _regularize(
    spec: KernelSpec,
    hyper: Hyper,
    chunk: Chunk,
    live: dict[str, Tensor],
    lhs_values: Pair,
    rhs_values: Pair,
    theta_grads: dict[str, Tensor],
) -> None:
    """Add N3's gradient: entities and operator parameters of each edge, once for each side that has negatives."""
    edges = len(chunk.weight)
    scale = {side: (hyper.regularization * chunk.weight * live[side])[:, None] for side in ("lhs", "rhs")}
    for entities in (chunk.lhs, chunk.rhs):
        gradient = regularizer_gradient(spec.operator, entities.points[:edges])
        entities.grads[:edges] += (scale["lhs"] + scale["rhs"]) * gradient
    if spec.operator is Operator.NONE:
        return
    if spec.reciprocal:
        for side, pair in (("lhs", lhs_values), ("rhs", rhs_values)):
            theta_grads[side] += scale[side] * regularizer_gradient(spec.operator, _theta(pair, chunk))
    else:
        gradient = regularizer_gradient(spec.operator, _theta(rhs_values, chunk))
        theta_grads["rhs"] += (scale["lhs"] + scale["rhs"]) * gradient


def _theta(pair: Pair, chunk: Chunk) -> Tensor:
    """Operator parameters of each edge [N, D]; zeros where the side has none."""
    if len(pair.values) == 0:
        return torch.zeros_like(chunk.lhs.points[: len(chunk.weight)])
    return pair.values[chunk.relations]
