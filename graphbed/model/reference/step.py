"""One chunk in torch: scores, loss, gradients by autograd, update."""

from dataclasses import dataclass

import torch
from torch import Tensor

from graphbed.config.choices import Operator
from graphbed.model.kernel import Hyper, KernelSpec
from graphbed.model.reference.formulas import apply_operator, loss_of, parameter_size_of, scores_of, size_of
from graphbed.model.reference.updates import State, update_rows

# Shapes: N edges of the chunk, P entities of a side (the edges' own first, then its drawn negatives), V rows of a
# table, Rg relations of the group, K numbers of an operator, D dimension.


@dataclass(slots=True, kw_only=True)
class Entities:
    """The entities of one side of a chunk."""

    rows: Tensor
    """int64 [P]."""
    known: list[set[int]]
    """Rows that are no negatives, besides the edge's own, of each edge."""


@dataclass(slots=True, kw_only=True)
class Side:
    """What one side trains."""

    table: State
    operator: State
    shared: State | None
    """The global embedding [1, D]; one object where both sides have one entity type."""


@dataclass(slots=True, kw_only=True)
class Chunk:
    """What a step works on."""

    lhs: Entities
    rhs: Entities
    relations: Tensor
    """int64 [N]."""
    weight: Tensor
    """[N]."""


def train_chunk(spec: KernelSpec, hyper: Hyper, chunk: Chunk, lhs: Side, rhs: Side) -> tuple[float, bool]:
    """Train one chunk; returns the loss, and whether all gradients were finite. The tables may be one object."""
    leaves = {
        "lhs": lhs.table.values[chunk.lhs.rows].requires_grad_(),
        "rhs": rhs.table.values[chunk.rhs.rows].requires_grad_(),
        "lhs_theta": _theta(lhs.operator, chunk).requires_grad_(),
        "rhs_theta": _theta(rhs.operator, chunk).requires_grad_(),
    }
    if lhs.shared is not None and rhs.shared is not None:
        leaves["lhs_shared"] = lhs.shared.values.clone().requires_grad_()
        leaves["rhs_shared"] = rhs.shared.values.clone().requires_grad_()
    loss, penalty = _loss(spec, hyper, chunk, leaves)
    if loss.requires_grad:  # not if no edge has a negative
        torch.autograd.backward(loss + penalty)
    grads = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    finite = all(bool(torch.isfinite(grad).all()) for grad in grads.values())
    _update(spec, hyper, chunk, lhs, rhs, grads)
    return loss.item(), finite


def _loss(spec: KernelSpec, hyper: Hyper, chunk: Chunk, leaves: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    edges = len(chunk.weight)
    points = {side: leaves[side] + leaves.get(f"{side}_shared", 0) for side in ("lhs", "rhs")}
    loss = penalty = torch.zeros((), dtype=torch.float64, device=chunk.weight.device)
    for side, other, entities, enabled in (
        ("lhs", "rhs", chunk.lhs, hyper.lhs_negatives),
        ("rhs", "lhs", chunk.rhs, hyper.rhs_negatives),
    ):
        candidates, queries = points[side], points[other][:edges]
        if spec.reciprocal:
            queries = apply_operator(spec.operator, queries, leaves[f"{side}_theta"])
        elif side == "rhs":
            candidates = apply_operator(spec.operator, candidates, leaves["rhs_theta"][:1].expand(len(candidates), -1))
        else:
            queries = apply_operator(spec.operator, queries, leaves["rhs_theta"])
        negative = _negatives(hyper, entities, edges)
        live = negative.any(1) & enabled
        if not live.any():
            continue
        scores = scores_of(spec, queries, candidates)
        positives = scores.diagonal()
        costs = loss_of(spec.loss, scores[live], positives[live], negative[live], hyper)
        loss = loss + (costs * chunk.weight[live]).double().sum()
        sizes = size_of(spec, leaves["lhs"][:edges]) + size_of(spec, leaves["rhs"][:edges])
        if spec.operator is not Operator.NONE:
            sizes = sizes + parameter_size_of(spec, leaves[f"{side}_theta" if spec.reciprocal else "rhs_theta"])
        penalty = penalty + hyper.regularization * (sizes * chunk.weight)[live].sum()
    return loss, penalty


def _negatives(hyper: Hyper, entities: Entities, edges: int) -> Tensor:
    """bool [N, P]: which candidates are negatives of which edge."""
    rows = entities.rows
    negative = rows[None, :] != rows[:edges, None]
    if hyper.all_negatives or not hyper.batch_negatives:
        negative[:, :edges] = False
    for edge, known in enumerate(entities.known):
        if known:
            negative[edge] &= ~torch.isin(rows, torch.tensor(sorted(known), device=rows.device))
    return negative


def _update(spec: KernelSpec, hyper: Hyper, chunk: Chunk, lhs: Side, rhs: Side, grads: dict[str, Tensor]) -> None:
    optimizer, longest = spec.optimizer, hyper.max_norm
    if lhs.table is rhs.table:
        rows = torch.cat([chunk.lhs.rows, chunk.rhs.rows])
        update_rows(lhs.table, rows, torch.cat([grads["lhs"], grads["rhs"]]), hyper.lr, optimizer, longest)
    else:
        update_rows(lhs.table, chunk.lhs.rows, grads["lhs"], hyper.lr, optimizer, longest)
        update_rows(rhs.table, chunk.rhs.rows, grads["rhs"], hyper.lr, optimizer, longest)
    for side, operator in (("lhs", lhs.operator), ("rhs", rhs.operator)):
        if len(operator.values):
            update_rows(operator, chunk.relations, grads[f"{side}_theta"], hyper.relation_lr)
    if lhs.shared is None or rhs.shared is None:
        return
    shared_lr = hyper.relation_lr if hyper.shared_lr is None else hyper.shared_lr
    first = torch.zeros(1, dtype=torch.int64, device=chunk.weight.device)
    if lhs.shared is rhs.shared:
        update_rows(lhs.shared, first, grads["lhs_shared"] + grads["rhs_shared"], shared_lr)
    else:
        update_rows(lhs.shared, first, grads["lhs_shared"], shared_lr)
        update_rows(rhs.shared, first, grads["rhs_shared"], shared_lr)


def _theta(operator: State, chunk: Chunk) -> Tensor:
    """Operator parameters of each edge [N, K]; zeros where the side has none."""
    if len(operator.values) == 0:
        return torch.zeros((len(chunk.weight), operator.values.shape[1]), device=chunk.weight.device)
    return operator.values[chunk.relations]
