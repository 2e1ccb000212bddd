"""Operators, comparators and N3 in torch: each formula and, beside it, its gradient."""

import torch
from torch import Tensor

from graphbed.config.job import Comparator, Operator

# Shapes: P vectors, D dimension.

COS_EPSILON = 1e-12
"""As in the CPU kernel: added to the squared length of a vector before it is scaled to length 1."""


def apply_operator(operator: Operator, points: Tensor, theta: Tensor) -> Tensor:
    """The operator with parameters theta [P, D] on points [P, D]; theta is not read without an operator."""
    if operator is Operator.TRANSLATION:
        return points + theta
    if operator is Operator.DIAGONAL:
        return points * theta
    if operator is Operator.COMPLEX_DIAGONAL:
        return _from_complex(_complex(points) * _complex(theta))
    return points


def pull_back_operator(operator: Operator, points: Tensor, theta: Tensor, grads: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients [P, D] of the points and of theta, from those of the operator's results."""
    if operator is Operator.TRANSLATION:
        return grads, grads
    if operator is Operator.DIAGONAL:
        return grads * theta, grads * points
    if operator is Operator.COMPLEX_DIAGONAL:
        complex_grads = _complex(grads)
        return (
            _from_complex(complex_grads * _complex(theta).conj()),
            _from_complex(complex_grads * _complex(points).conj()),
        )
    return grads, torch.zeros_like(theta)


def make_comparable(comparator: Comparator, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors whose dot product is the score, and the factors [P, 1] they were multiplied by."""
    if comparator is Comparator.COS:
        scales = torch.rsqrt((vectors * vectors).sum(1, keepdim=True) + COS_EPSILON)
        return vectors * scales, scales
    return vectors, torch.ones_like(vectors[:, :1])


def pull_back_comparator(comparator: Comparator, compared: Tensor, scales: Tensor, grads: Tensor) -> Tensor:
    """Gradients [P, D] of the vectors, from those of what `make_comparable` made of them."""
    if comparator is Comparator.COS:
        return scales * (grads - compared * (compared * grads).sum(1, keepdim=True))
    return grads


def regularizer_gradient(operator: Operator, vectors: Tensor) -> Tensor:
    """Gradient [P, D] of Σ|a|³: over elements, or over the complex moduli where the operator is complex."""
    if operator is Operator.COMPLEX_DIAGONAL:
        factors = _complex(vectors)
        return _from_complex(3 * factors.abs() * factors)
    return 3 * vectors.abs() * vectors


def _complex(vectors: Tensor) -> Tensor:
    real, imaginary = vectors.chunk(2, dim=1)
    return torch.complex(real.contiguous(), imaginary.contiguous())


def _from_complex(vectors: Tensor) -> Tensor:
    return torch.cat([vectors.real, vectors.imag], dim=1)
