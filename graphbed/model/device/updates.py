"""Optimizers in torch: one step of each distinct row by the sum of its gradients, without waiting for the device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from graphbed.config.choices import Optimizer

# Shapes: V rows of a table, M gradients, D dimension, S columns of the optimizer's state.

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
    rows_M: Tensor,
    grads_MD: Tensor,
    lr: float,
    optimizer: Optimizer = Optimizer.ADAGRAD,
    longest: float = 0.0,
) -> None:
    """Step the rows by the gradients, those of equal rows added up; shorten them to `longest` if above 0."""
    distinct_M, merged_MD = merge(rows_M, grads_MD)
    trained_M = (distinct_M < state.trainable) & (merged_MD != 0).any(1)
    values_MD, sums_MS = state.values[distinct_M], state.sums[distinct_M]
    new_values_MD, new_sums_MS = _stepped(values_MD, sums_MS, merged_MD, lr, optimizer)
    if longest > 0:
        lengths_M1 = new_values_MD.norm(dim=1, keepdim=True)
        new_values_MD = new_values_MD * torch.where(lengths_M1 > longest, longest / lengths_M1, 1)
    # Added, not set: the places of `merge` that stand for no row all name row 0, and add nothing to it.
    state.values.index_add_(0, distinct_M, torch.where(trained_M[:, None], new_values_MD - values_MD, 0))
    state.sums.index_add_(0, distinct_M, torch.where(trained_M[:, None], new_sums_MS - sums_MS, 0))


def merge(rows_M: Tensor, grads_MD: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows, each once, and the sums of their gradients; the places left over name row 0 with zeros.

    As many places as before: how many rows are distinct is known to the device alone, and asking would wait for it.
    """
    sorted_M, order_M = torch.sort(rows_M)
    is_new_M = torch.ones_like(sorted_M)
    is_new_M[1:] = sorted_M[1:] != sorted_M[:-1]
    place_M = torch.cumsum(is_new_M, 0) - 1
    merged_MD = torch.zeros_like(grads_MD).index_add_(0, place_M, grads_MD[order_M])
    return torch.zeros_like(sorted_M).scatter_(0, place_M, sorted_M), merged_MD


def _stepped(
    values_MD: Tensor, sums_MS: Tensor, grads_MD: Tensor, lr: float, optimizer: Optimizer
) -> tuple[Tensor, Tensor]:
    if optimizer is Optimizer.ADAM:
        return _adam(values_MD, sums_MS, grads_MD, lr)
    squares = grads_MD * grads_MD
    if optimizer is Optimizer.ROW_ADAGRAD:
        squares = squares.mean(1, keepdim=True)
    total = sums_MS.clamp(min=0) + squares
    return values_MD - lr * grads_MD / (total.sqrt() + _EPSILON), total


def _adam(values_MD: Tensor, sums_MS: Tensor, grads_MD: Tensor, lr: float) -> tuple[Tensor, Tensor]:
    dimension = grads_MD.shape[1]
    steps = sums_MS[:, -1:] + 1
    moment = _FIRST * sums_MS[:, :dimension] + (1 - _FIRST) * grads_MD
    spread = _SECOND * sums_MS[:, dimension:-1] + (1 - _SECOND) * grads_MD**2
    root = (spread / (1 - _SECOND**steps)).sqrt() + _ADAM_EPSILON
    return values_MD - lr * (moment / (1 - _FIRST**steps)) / root, torch.cat([moment, spread, steps], dim=1)
