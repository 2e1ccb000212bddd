"""The formulas of docs/model.md in torch, whose autograd differentiates them."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

from graphbed.config.choices import Comparator, Loss, Operator, Regularizer
from graphbed.model.kernel import Hyper, KernelSpec

# Shapes: P vectors, N edges, J candidates, D dimension, K numbers of an operator. All functions also take any number
# of dimensions in front of these, the same for all arguments, or 1 where one stands for all.

EPSILON = 1e-12
"""As in the CPU kernel: added to squared lengths before a root is taken."""


def apply_operator(operator: Operator, points: Tensor, theta: Tensor) -> Tensor:
    """The operator with parameters theta [P, K] on points [P, D]; theta is not read without an operator."""
    dimension = points.shape[-1]
    if operator is Operator.TRANSLATION:
        return points + theta
    if operator is Operator.DIAGONAL:
        return points * theta
    if operator in (Operator.LINEAR, Operator.AFFINE):
        matrices = theta[..., : dimension * dimension].reshape(*theta.shape[:-1], dimension, dimension)
        moved = torch.einsum("...ij,...j->...i", matrices, points)
        return moved + theta[..., dimension * dimension :] if operator is Operator.AFFINE else moved
    if operator is Operator.COMPLEX_DIAGONAL:
        return _times(points, *theta.chunk(2, dim=-1))
    if operator is Operator.ROTATION:
        return _times(points, torch.cos(theta), torch.sin(theta))
    return points


def scores_of(spec: KernelSpec, queries: Tensor, candidates: Tensor) -> Tensor:
    """Scores [N, J] of queries [N, D] with candidates [J, D]."""
    if not spec.bias:
        return _compare(spec.comparator, queries, candidates)
    biases = queries[..., :1] + candidates[..., None, :, 0]
    return _compare(spec.comparator, queries[..., 1:], candidates[..., 1:]) + biases


def loss_of(loss: Loss, scores: Tensor, positives: Tensor, negative: Tensor, hyper: Hyper) -> Tensor:
    """The loss [N] of each edge; negative [N, J] says which candidates are its negatives.

    Finite, as its gradient is, but without meaning for an edge that has none.
    """
    if loss is Loss.RANKING:
        return torch.where(negative, relu(hyper.margin - positives[..., None] + scores), 0).sum(-1)
    if loss is Loss.LOGISTIC:
        share = negative / negative.sum(-1, keepdim=True).clamp(min=1)
        return softplus(-positives) + (softplus(scores) * share).sum(-1)
    masked = torch.where(negative, scores, -torch.inf)
    if loss is Loss.SELF_ADVERSARIAL:
        tempered = torch.where(negative, hyper.temperature * scores, -torch.inf)
        share = torch.softmax(tempered, dim=-1).detach().nan_to_num(0.0)
        cost = torch.where(negative, logsigmoid(-hyper.margin - scores), 0)
        return -logsigmoid(hyper.margin + positives) - (share * cost).sum(-1)
    return torch.logsumexp(torch.cat([positives[..., None], masked], dim=-1), dim=-1) - positives


def size_of(spec: KernelSpec, factors: Tensor) -> Tensor:
    """The regularizer [P] of rows [P, D]."""
    if spec.regularizer is Regularizer.L2:
        return (factors**2).sum(-1)
    if spec.operator.is_complex:
        real, imaginary = factors.chunk(2, dim=-1)
        # Differentiable at zero, where the gradient of the cube is zero.
        squares = real**2 + imaginary**2
        return torch.where(squares > 0, torch.where(squares > 0, squares, 1) ** 1.5, 0).sum(-1)
    return (factors.abs() ** 3).sum(-1)


def parameter_size_of(spec: KernelSpec, theta: Tensor) -> Tensor:
    """The regularizer [P] of operator parameters [P, K]; angles have no size for N3."""
    if spec.operator is Operator.ROTATION and spec.regularizer is Regularizer.N3:
        return torch.zeros_like(theta[..., 0])
    return size_of(spec, theta)


def _compare(comparator: Comparator, queries: Tensor, candidates: Tensor) -> Tensor:
    if comparator is Comparator.DOT:
        return queries @ candidates.mT
    if comparator is Comparator.COS:
        return _unit(queries) @ _unit(candidates).mT
    gaps = queries[..., :, None, :] - candidates[..., None, :, :]
    if comparator is Comparator.L1:
        return -gaps.abs().sum(-1)
    if comparator is Comparator.COMPLEX_L1:
        real, imaginary = gaps.chunk(2, dim=-1)
        return -torch.sqrt(real**2 + imaginary**2 + EPSILON).sum(-1)
    squares = (gaps**2).sum(-1)
    return -squares if comparator is Comparator.SQUARED_L2 else -torch.sqrt(squares + EPSILON)


def _unit(vectors: Tensor) -> Tensor:
    return vectors * torch.rsqrt((vectors**2).sum(-1, keepdim=True) + EPSILON)


def _times(points: Tensor, real: Tensor, imaginary: Tensor) -> Tensor:
    first, second = points.chunk(2, dim=-1)
    return torch.cat([first * real - second * imaginary, first * imaginary + second * real], dim=-1)
