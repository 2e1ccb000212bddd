"""The judge: the loss of one chunk, candidate by candidate in float64, and its gradient by autograd."""

import numpy as np
import torch

from graphbed.config.job import Comparator, Loss, Operator
from graphbed.model.kernel import KernelSpec
from tests.unit.model.problems import Problem


def judged(spec: KernelSpec, problem: Problem, draws: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """Loss without the regularizer, and the gradients of loss plus regularizer, of a problem with a single chunk.

    `draws` holds the uniform negatives of each side. With one table both sides' gradients are under "lhs" and "rhs".
    """
    arrays = {
        name: torch.tensor(array, dtype=torch.float64, requires_grad=True) for name, array in problem.arrays().items()
    }
    if problem.lhs is problem.rhs:
        arrays["rhs"] = arrays["lhs"]
    edges, hyper = problem.edges, problem.hyper
    loss = torch.zeros((), dtype=torch.float64)
    penalty = torch.zeros((), dtype=torch.float64)
    for i, (left, relation, right) in enumerate(
        zip(edges.lhs_rows.tolist(), edges.relation_rows.tolist(), edges.rhs_rows.tolist(), strict=True)
    ):
        weight = float(edges.weight[i])
        for side, own, enabled in (("lhs", left, hyper.lhs_negatives), ("rhs", right, hyper.rhs_negatives)):
            batch = getattr(edges, f"{side}_rows").tolist() if hyper.batch_negatives else []
            negatives = [row for row in [*batch, *draws[side].tolist()] if row != own]
            if not enabled or not negatives:
                continue

            positive, *others = (
                _score(spec, arrays, side, *((row, right) if side == "lhs" else (left, row)), relation)
                for row in [own, *negatives]
            )
            loss = loss + weight * _loss(spec.loss, positive, torch.stack(others), hyper.margin)
            theta = arrays["lhs_theta" if spec.reciprocal and side == "lhs" else "rhs_theta"]
            factors = [arrays["lhs"][left], arrays["rhs"][right]]
            factors += [] if spec.operator is Operator.NONE else [theta[relation]]
            penalty = penalty + weight * hyper.regularization * sum(_cubes(spec.operator, f) for f in factors)
    (loss + penalty).backward()
    gradients = {
        name: np.zeros(array.shape) if array.grad is None else array.grad.numpy() for name, array in arrays.items()
    }
    return loss.item(), gradients


def _score(
    spec: KernelSpec, arrays: dict[str, torch.Tensor], side: str, left: int, right: int, relation: int
) -> torch.Tensor:
    a, b = arrays["lhs"][left], arrays["rhs"][right]
    if spec.reciprocal and side == "rhs":
        a = _operate(spec.operator, a, arrays["rhs_theta"], relation)
    elif spec.reciprocal:
        b = _operate(spec.operator, b, arrays["lhs_theta"], relation)
    else:
        b = _operate(spec.operator, b, arrays["rhs_theta"], relation)
    if spec.comparator is Comparator.COS:
        return torch.nn.functional.cosine_similarity(a, b, dim=0, eps=0)
    return torch.dot(a, b)


def _operate(operator: Operator, vector: torch.Tensor, thetas: torch.Tensor, relation: int) -> torch.Tensor:
    if operator is Operator.NONE:
        return vector
    theta = thetas[relation]
    if operator is Operator.TRANSLATION:
        return vector + theta
    if operator is Operator.DIAGONAL:
        return vector * theta
    half = len(vector) // 2
    parts = [
        (
            vector[d] * theta[d] - vector[half + d] * theta[half + d],
            vector[d] * theta[half + d] + vector[half + d] * theta[d],
        )
        for d in range(half)
    ]
    return torch.stack([real for real, _ in parts] + [imaginary for _, imaginary in parts])


def _loss(loss: Loss, positive: torch.Tensor, negatives: torch.Tensor, margin: float) -> torch.Tensor:
    if loss is Loss.RANKING:
        return torch.stack([torch.clamp(margin - positive + negative, min=0) for negative in negatives]).sum()
    if loss is Loss.LOGISTIC:
        return -torch.log(torch.sigmoid(positive)) - torch.log(1 - torch.sigmoid(negatives)).mean()
    return -torch.log(torch.exp(positive) / (torch.exp(positive) + torch.exp(negatives).sum()))


def _cubes(operator: Operator, factor: torch.Tensor) -> torch.Tensor:
    if operator is Operator.COMPLEX_DIAGONAL:
        half = len(factor) // 2
        return ((factor[:half] ** 2 + factor[half:] ** 2) ** 1.5).sum()
    return (factor.abs() ** 3).sum()
