"""Optimizers in torch: one step of each distinct row by the sum of its gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor

from graphbed.config.choices import Optimizer

_EPSILON = 1e-10
_FIRST, _SECOND, _ADAM_EPSILON = 0.9, 0.999, 1e-8


@dataclass(slots=True, kw_only=True)
class State:
    """Numbers that are trained and what the optimizer keeps for them, on the device."""

    values: Tensor
    """[V, D], [Rg, K] or [1, D]."""
    sums: Tensor
    """[V, `Optimizer.columns(D)`]; of the shape of `values` for parameters."""
    trainable: int
    """Rows from this one on are never updated."""


def update_rows(
    state: State,
    rows: Tensor,
    grads: Tensor,
    lr: float,
    optimizer: Optimizer = Optimizer.ADAGRAD,
    longest: float = 0.0,
) -> None:
    """Step the rows by grads [P, D], the gradients of equal rows added up; shorten them to `longest` if above 0."""
    distinct, inverse = torch.unique(rows, return_inverse=True)
    merged = torch.zeros((len(distinct), grads.shape[1]), dtype=grads.dtype, device=grads.device)
    merged.index_add_(0, inverse, grads)
    trained = (distinct < state.trainable) & (merged != 0).any(1)
    distinct, merged = distinct[trained], merged[trained]
    if optimizer is Optimizer.ADAM:
        _adam(state, distinct, merged, lr)
    else:
        squares = merged * merged
        if optimizer is Optimizer.ROW_ADAGRAD:
            squares = squares.mean(1, keepdim=True)
        total = state.sums[distinct].clamp(min=0) + squares
        state.sums[distinct] = total
        state.values[distinct] -= lr * merged / (total.sqrt() + _EPSILON)
    if longest > 0:
        lengths = state.values[distinct].norm(dim=1, keepdim=True)
        state.values[distinct] *= torch.where(lengths > longest, longest / lengths, 1)


def _adam(state: State, rows: Tensor, grads: Tensor, lr: float) -> None:
    dimension = grads.shape[1]
    kept = state.sums[rows]
    steps = kept[:, -1:] + 1
    moment = _FIRST * kept[:, :dimension] + (1 - _FIRST) * grads
    spread = _SECOND * kept[:, dimension:-1] + (1 - _SECOND) * grads**2
    state.sums[rows] = torch.cat([moment, spread, steps], dim=1)
    state.values[rows] -= lr * (moment / (1 - _FIRST**steps)) / ((spread / (1 - _SECOND**steps)).sqrt() + _ADAM_EPSILON)
