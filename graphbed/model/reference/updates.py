"""Adagrad in torch: one step of each distinct row by the sum of its gradients."""

import torch
from torch import Tensor

_EPSILON = 1e-10


def update_rows(values: Tensor, sums: Tensor, rows: Tensor, grads: Tensor, lr: float) -> bool:
    """Step values[rows] by grads [P, D], the gradients of equal rows added up; False if one is not finite.

    values [V, D]; sums [V, 1] for row Adagrad (the mean square of a row's gradient), [V, D] for Adagrad by element.
    """
    distinct, inverse = torch.unique(rows, return_inverse=True)
    merged = torch.zeros((len(distinct), grads.shape[1]), dtype=grads.dtype, device=grads.device)
    merged.index_add_(0, inverse, grads)
    squares = merged * merged
    if sums.shape[1] == 1 and values.shape[1] > 1:
        squares = squares.mean(1, keepdim=True)
    total = sums[distinct].clamp(min=0) + squares
    sums[distinct] = total
    values[distinct] -= lr * merged / (total.sqrt() + _EPSILON)
    return bool(torch.isfinite(merged).all())
