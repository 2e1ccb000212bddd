"""The judge: the loss of one chunk, candidate by candidate in float64, and its gradient by autograd."""

import numpy as np
import torch

from graphbed.config.choices import Comparator, Loss, Operator, Regularizer
from graphbed.model.kernel import Hyper, KernelSpec
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
        if "lhs_shared" in arrays:
            arrays["rhs_shared"] = arrays["lhs_shared"]
    edges, hyper = problem.edges, problem.hyper
    loss = torch.zeros((), dtype=torch.float64)
    penalty = torch.zeros((), dtype=torch.float64)
    for i, (left, relation, right) in enumerate(
        zip(edges.lhs_rows.tolist(), edges.relation_rows.tolist(), edges.rhs_rows.tolist(), strict=True)
    ):
        weight = float(edges.weight[i])
        for side, own, enabled in (("lhs", left, hyper.lhs_negatives), ("rhs", right, hyper.rhs_negatives)):
            batch = getattr(edges, f"{side}_rows").tolist()
            if hyper.all_negatives or not hyper.batch_negatives:
                batch = []
            known = set()
            if edges.known is not None:
                lists = getattr(edges.known, side)
                known = set(lists.rows[lists.first[i] : lists.stop[i]].tolist())
            negatives = [row for row in [*batch, *draws[side].tolist()] if row != own and row not in known]
            if not enabled or not negatives:
                continue

            positive, *others = (
                _score(spec, arrays, side, *((row, right) if side == "lhs" else (left, row)), relation)
                for row in [own, *negatives]
            )
            loss = loss + weight * _loss(spec.loss, positive, torch.stack(others), hyper)
            theta = arrays["lhs_theta" if spec.reciprocal and side == "lhs" else "rhs_theta"]
            factors = [arrays["lhs"][left], arrays["rhs"][right]]
            sizes = [_size(spec, factor) for factor in factors]
            if spec.operator is not Operator.NONE and not _is_angles(spec):
                sizes.append(_size(spec, theta[relation]))
            penalty = penalty + weight * hyper.regularization * sum(sizes)
    (loss + penalty).backward()
    gradients = {
        name: np.zeros(array.shape) if array.grad is None else array.grad.numpy() for name, array in arrays.items()
    }
    return loss.item(), gradients


def _score(
    spec: KernelSpec, arrays: dict[str, torch.Tensor], side: str, left: int, right: int, relation: int
) -> torch.Tensor:
    a, b = arrays["lhs"][left], arrays["rhs"][right]
    if "lhs_shared" in arrays:
        a, b = a + arrays["lhs_shared"][0], b + arrays["rhs_shared"][0]
    if spec.reciprocal and side == "rhs":
        a = _operate(spec.operator, a, arrays["rhs_theta"], relation)
    elif spec.reciprocal:
        b = _operate(spec.operator, b, arrays["lhs_theta"], relation)
    else:
        b = _operate(spec.operator, b, arrays["rhs_theta"], relation)
    if spec.bias:
        return a[0] + b[0] + _compare(spec.comparator, a[1:], b[1:])
    return _compare(spec.comparator, a, b)


def _compare(comparator: Comparator, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    if comparator is Comparator.DOT:
        return torch.dot(a, b)
    if comparator is Comparator.COS:
        return torch.nn.functional.cosine_similarity(a, b, dim=0, eps=0)
    if comparator is Comparator.L1:
        return -torch.stack([(x - y).abs() for x, y in zip(a, b, strict=True)]).sum()
    if comparator is Comparator.COMPLEX_L1:
        half = len(a) // 2
        return -sum(((a[d] - b[d]) ** 2 + (a[half + d] - b[half + d]) ** 2 + 1e-12) ** 0.5 for d in range(half))
    square = ((a - b) ** 2).sum()
    return -square if comparator is Comparator.SQUARED_L2 else -((square + 1e-12) ** 0.5)


def _operate(operator: Operator, vector: torch.Tensor, thetas: torch.Tensor, relation: int) -> torch.Tensor:
    if operator is Operator.NONE:
        return vector
    theta = thetas[relation]
    if operator is Operator.TRANSLATION:
        return vector + theta
    if operator is Operator.DIAGONAL:
        return vector * theta
    dimension = len(vector)
    if operator in (Operator.LINEAR, Operator.AFFINE):
        moved = theta[: dimension**2].reshape(dimension, dimension) @ vector
        return moved + theta[dimension**2 :] if operator is Operator.AFFINE else moved
    if operator is Operator.ROTATION:
        theta = torch.cat([torch.cos(theta), torch.sin(theta)])
    half = len(vector) // 2
    parts = [
        (
            vector[d] * theta[d] - vector[half + d] * theta[half + d],
            vector[d] * theta[half + d] + vector[half + d] * theta[d],
        )
        for d in range(half)
    ]
    return torch.stack([real for real, _ in parts] + [imaginary for _, imaginary in parts])


def _loss(loss: Loss, positive: torch.Tensor, negatives: torch.Tensor, hyper: Hyper) -> torch.Tensor:
    margin = hyper.margin
    if loss is Loss.SELF_ADVERSARIAL:
        shares = torch.exp(hyper.temperature * negatives.detach())
        shares = shares / shares.sum()
        costs = torch.stack([-torch.log(torch.sigmoid(-margin - negative)) for negative in negatives])
        return -torch.log(torch.sigmoid(margin + positive)) + (shares * costs).sum()
    if loss is Loss.RANKING:
        return torch.stack([torch.clamp(margin - positive + negative, min=0) for negative in negatives]).sum()
    if loss is Loss.LOGISTIC:
        return -torch.log(torch.sigmoid(positive)) - torch.log(1 - torch.sigmoid(negatives)).mean()
    return -torch.log(torch.exp(positive) / (torch.exp(positive) + torch.exp(negatives).sum()))


def _is_angles(spec: KernelSpec) -> bool:
    return spec.operator is Operator.ROTATION and spec.regularizer is Regularizer.N3


def _size(spec: KernelSpec, factor: torch.Tensor) -> torch.Tensor:
    if spec.regularizer is Regularizer.L2:
        return (factor**2).sum()
    if spec.operator in (Operator.COMPLEX_DIAGONAL, Operator.ROTATION):
        half = len(factor) // 2
        return ((factor[:half] ** 2 + factor[half:] ** 2) ** 1.5).sum()
    return (factor.abs() ** 3).sum()
