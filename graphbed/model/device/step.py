"""One batch in torch: scores, loss, gradients by autograd, update. Nothing here waits for the device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from graphbed.config.choices import Operator
from graphbed.model.device.batches import Batch, Entities
from graphbed.model.device.formulas import apply_operator, loss_of, parameter_size_of, scores_of, size_of
from graphbed.model.device.updates import State, update_rows
from graphbed.model.kernel import Hyper, KernelSpec

# Shapes: B chunks, N edges of a chunk, P candidates of a side (the edges' own entities first, then the drawn ones),
# V rows of a table, Rg relations of the group, K numbers of an operator, D dimension.


@dataclass(slots=True, kw_only=True)
class Side:
    """What one side trains."""

    table: State
    operator: State
    shared: State | None
    """The global embedding [1, D]; one object where both sides have one entity type."""


def train_batch(spec: KernelSpec, hyper: Hyper, batch: Batch, lhs: Side, rhs: Side) -> tuple[Tensor, Tensor]:
    """Train one batch with one step of each row; the tables may be one object.

    Returns the loss as float64, and as bool whether all gradients were finite.
    """
    leaves = {
        "lhs": lhs.table.values[batch.lhs.rows_BP].requires_grad_(),
        "rhs": rhs.table.values[batch.rhs.rows_BP].requires_grad_(),
        "lhs_theta": _theta(lhs.operator, batch).requires_grad_(),
        "rhs_theta": _theta(rhs.operator, batch).requires_grad_(),
    }
    if lhs.shared is not None and rhs.shared is not None:
        leaves["lhs_shared"] = lhs.shared.values.clone().requires_grad_()
        leaves["rhs_shared"] = rhs.shared.values.clone().requires_grad_()
    loss, penalty = _loss(spec, hyper, batch, leaves)
    torch.autograd.backward(loss + penalty)
    grads = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    finite = torch.stack([torch.isfinite(grad).all() for grad in grads.values()]).all() & torch.isfinite(loss)
    _update(spec, hyper, batch, lhs, rhs, grads)
    return loss.detach(), finite


def _loss(spec: KernelSpec, hyper: Hyper, batch: Batch, leaves: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    edges = batch.edges_BN.shape[1]
    points = {side: leaves[side] + leaves.get(f"{side}_shared", 0) for side in ("lhs", "rhs")}
    loss = torch.zeros((), dtype=torch.float64, device=batch.weight_BN.device)
    penalty = loss
    for side, other, entities, enabled in (
        ("lhs", "rhs", batch.lhs, hyper.lhs_negatives),
        ("rhs", "lhs", batch.rhs, hyper.rhs_negatives),
    ):
        if not enabled:
            continue
        candidates_BPD, queries_BND = points[side], points[other][:, :edges]
        if spec.reciprocal:
            queries_BND = apply_operator(spec.operator, queries_BND, leaves[f"{side}_theta"])
        elif side == "rhs":
            # A chunk of a plain group has one relation.
            candidates_BPD = apply_operator(spec.operator, candidates_BPD, leaves["rhs_theta"][:, :1])
        else:
            queries_BND = apply_operator(spec.operator, queries_BND, leaves["rhs_theta"])
        negative_BNP = _negatives(hyper, entities, batch)
        live_BN = negative_BNP.any(-1) & batch.present_BN
        scores_BNP = scores_of(spec, queries_BND, candidates_BPD)
        positives_BN = scores_BNP[..., :edges].diagonal(dim1=-2, dim2=-1)
        costs_BN = loss_of(spec.loss, scores_BNP, positives_BN, negative_BNP, hyper)
        loss = loss + torch.where(live_BN, costs_BN * batch.weight_BN, 0).double().sum()
        if hyper.regularization:
            sizes_BN = size_of(spec, leaves["lhs"][:, :edges]) + size_of(spec, leaves["rhs"][:, :edges])
            if spec.operator is not Operator.NONE:
                sizes_BN = sizes_BN + parameter_size_of(spec, leaves[_theta_of(spec, side)])
            penalty = penalty + hyper.regularization * torch.where(live_BN, sizes_BN * batch.weight_BN, 0).sum()
    return loss, penalty


def _negatives(hyper: Hyper, entities: Entities, batch: Batch) -> Tensor:
    """bool [B, N, P]: which candidates are negatives of which edge."""
    rows_BP, edges = entities.rows_BP, batch.edges_BN.shape[1]
    negative_BNP = rows_BP[:, None, :] != rows_BP[:, :edges, None]
    if hyper.all_negatives or not hyper.batch_negatives:
        negative_BNP[..., :edges] = False
    else:
        negative_BNP[..., :edges] &= batch.present_BN[:, None, :]
    if entities.known is not None:
        negative_BNP &= ~entities.known.contains(batch.edges_BN, rows_BP)
    return negative_BNP


def _update(spec: KernelSpec, hyper: Hyper, batch: Batch, lhs: Side, rhs: Side, grads: dict[str, Tensor]) -> None:
    rows = {"lhs": batch.lhs.rows_BP.flatten(), "rhs": batch.rhs.rows_BP.flatten()}
    flat = {name: grad.flatten(0, -2) for name, grad in grads.items()}
    optimizer, longest = spec.optimizer, hyper.max_norm
    if lhs.table is rhs.table:
        both, both_grads = torch.cat([rows["lhs"], rows["rhs"]]), torch.cat([flat["lhs"], flat["rhs"]])
        update_rows(lhs.table, both, both_grads, hyper.lr, optimizer, longest)
    else:
        update_rows(lhs.table, rows["lhs"], flat["lhs"], hyper.lr, optimizer, longest)
        update_rows(rhs.table, rows["rhs"], flat["rhs"], hyper.lr, optimizer, longest)
    for side, operator in (("lhs", lhs.operator), ("rhs", rhs.operator)):
        if len(operator.values):
            update_rows(operator, batch.relations_BN.flatten(), flat[f"{side}_theta"], hyper.relation_lr)
    if lhs.shared is None or rhs.shared is None:
        return
    shared_lr = hyper.relation_lr if hyper.shared_lr is None else hyper.shared_lr
    first = torch.zeros(1, dtype=torch.int64, device=batch.weight_BN.device)
    if lhs.shared is rhs.shared:
        update_rows(lhs.shared, first, flat["lhs_shared"] + flat["rhs_shared"], shared_lr)
    else:
        update_rows(lhs.shared, first, flat["lhs_shared"], shared_lr)
        update_rows(rhs.shared, first, flat["rhs_shared"], shared_lr)


def _theta_of(spec: KernelSpec, side: str) -> str:
    return f"{side}_theta" if spec.reciprocal else "rhs_theta"


def _theta(operator: State, batch: Batch) -> Tensor:
    """Operator parameters of each edge [B, N, K]; zeros where the side has none."""
    if len(operator.values) == 0:
        shape = (*batch.relations_BN.shape, operator.values.shape[1])
        return torch.zeros(shape, device=batch.weight_BN.device)
    return operator.values[batch.relations_BN]
