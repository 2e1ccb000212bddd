"""The reference kernel: what the CPU kernel must agree with, one obvious torch step a chunk."""

import numpy as np
import torch
from torch import Tensor

from graphbed.model.checks import require_arguments
from graphbed.model.kernel import Control, EdgeSlice, GroupParameters, Hyper, Kernel, KernelSpec, Table
from graphbed.model.reference.draws import draw_rows
from graphbed.model.reference.step import Chunk, Entities, Pair, train_chunk

# Shapes: N edges of a chunk, P entities of a side.


class ReferenceKernel:
    """Torch on any device; tables are copied there at the start of a call and back at its end."""

    def __init__(self, spec: KernelSpec, device: torch.device) -> None:
        self._spec = spec
        self._device = device

    @property
    def spec(self) -> KernelSpec:
        return self._spec

    def train_slice(
        self,
        edges: EdgeSlice,
        *,
        lhs: Table,
        rhs: Table,
        parameters: GroupParameters,
        hyper: Hyper,
        control: Control,
        seed: int,
    ) -> None:
        require_arguments(self._spec, edges, lhs, rhs, parameters, hyper, control, seed)
        lhs_pair = self._pair(lhs.embeddings, lhs.sums)
        rhs_pair = lhs_pair if lhs.embeddings is rhs.embeddings else self._pair(rhs.embeddings, rhs.sums)
        lhs_values = self._pair(parameters.lhs.values, parameters.lhs.sums)
        rhs_values = self._pair(parameters.rhs.values, parameters.rhs.sums)
        for first, last in zip(edges.chunk_starts[:-1].tolist(), edges.chunk_starts[1:].tolist(), strict=True):
            if control.stop[0]:
                break
            if first == last:
                continue
            chunk = self._chunk(edges, first, last, lhs_pair, rhs_pair, hyper, seed)
            loss, finite = train_chunk(self._spec, hyper, chunk, lhs_pair, rhs_pair, lhs_values, rhs_values)
            control.progress[0] += last - first
            control.loss[0] += loss
            if not (finite and np.isfinite(loss)):
                control.failed[0] = 1
                break
        for pair, values, sums in (
            (lhs_pair, lhs.embeddings, lhs.sums),
            (rhs_pair, rhs.embeddings, rhs.sums),
            (lhs_values, parameters.lhs.values, parameters.lhs.sums),
            (rhs_values, parameters.rhs.values, parameters.rhs.sums),
        ):
            # On the CPU the tensors are the arrays, and this copies them onto themselves.
            values[...] = pair.values.cpu().numpy()
            sums[...] = pair.sums.cpu().numpy()

    def _pair(self, values: np.ndarray, sums: np.ndarray) -> Pair:
        return Pair(values=self._tensor(values), sums=self._tensor(sums))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def _chunk(self, edges: EdgeSlice, first: int, last: int, lhs: Pair, rhs: Pair, hyper: Hyper, seed: int) -> Chunk:
        lhs_draws = hyper.uniform_negatives if hyper.lhs_negatives else 0
        rhs_draws = hyper.uniform_negatives if hyper.rhs_negatives else 0
        lhs_uniform = draw_rows(seed, first, 0, lhs_draws, len(lhs.values))
        rhs_uniform = draw_rows(seed, first, lhs_draws, rhs_draws, len(rhs.values))
        return Chunk(
            lhs=self._entities(lhs, edges.lhs_rows[first:last], lhs_uniform),
            rhs=self._entities(rhs, edges.rhs_rows[first:last], rhs_uniform),
            relations=self._tensor(edges.relation_rows[first:last]).long(),
            weight=self._tensor(edges.weight[first:last]),
        )

    def _entities(self, pair: Pair, own: np.ndarray, uniform: np.ndarray) -> Entities:
        rows = self._tensor(np.concatenate([own, uniform]))
        points = pair.values[rows]
        return Entities(rows=rows, points=points, grads=torch.zeros_like(points))


def reference_kernel(spec: KernelSpec, *, device: str = "cpu") -> Kernel:
    """The reference for `spec` on a torch device."""
    return ReferenceKernel(spec, torch.device(device))
