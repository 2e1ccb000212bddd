"""The reference kernel: what the CPU kernel must agree with, one obvious torch step a chunk."""

import numpy as np
import torch

from graphbed.model.checks import require_arguments
from graphbed.model.kernel import (
    Control,
    EdgeSlice,
    GroupParameters,
    Hyper,
    Kernel,
    KernelSpec,
    KnownRows,
    SideParameters,
    Table,
)
from graphbed.model.reference.draws import drawn_rows
from graphbed.model.reference.step import Chunk, Entities, Side, train_chunk
from graphbed.model.reference.updates import State

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
        left = self._side(lhs, parameters.lhs, parameters.lhs_global)
        right = self._side(rhs, parameters.rhs, parameters.rhs_global)
        if lhs.embeddings is rhs.embeddings:
            right.table, right.shared = left.table, left.shared
        for first, last in zip(edges.chunk_starts[:-1].tolist(), edges.chunk_starts[1:].tolist(), strict=True):
            if control.stop[0]:
                break
            if first == last:
                continue
            loss, finite = train_chunk(
                self._spec, hyper, self._chunk(edges, first, last, lhs, rhs, hyper, seed), left, right
            )
            control.progress[0] += last - first
            control.loss[0] += loss
            if not (finite and np.isfinite(loss)):
                control.failed[0] = 1
                break
        for side, table, operator, shared in (
            (left, lhs, parameters.lhs, parameters.lhs_global),
            (right, rhs, parameters.rhs, parameters.rhs_global),
        ):
            # On the CPU the tensors are the arrays, and this copies them onto themselves.
            _copy_back(side.table, table.embeddings, table.sums)
            _copy_back(side.operator, operator.values, operator.sums)
            if side.shared is not None and shared is not None:
                _copy_back(side.shared, shared.values, shared.sums)

    def _side(self, table: Table, operator: SideParameters, shared: SideParameters | None) -> Side:
        return Side(
            table=self._state(table.embeddings, table.sums, table.trainable_rows),
            operator=self._state(operator.values, operator.sums, len(operator.values)),
            shared=None if shared is None else self._state(shared.values, shared.sums, 1),
        )

    def _state(self, values: np.ndarray, sums: np.ndarray, trainable: int) -> State:
        return State(
            values=torch.from_numpy(values).to(self._device),
            sums=torch.from_numpy(sums).to(self._device),
            trainable=trainable,
        )

    def _chunk(self, edges: EdgeSlice, first: int, last: int, lhs: Table, rhs: Table, hyper: Hyper, seed: int) -> Chunk:
        lhs_drawn, rhs_drawn = drawn_rows(edges, first, lhs, rhs, hyper, seed)
        known = edges.known
        return Chunk(
            lhs=self._entities(edges.lhs_rows[first:last], lhs_drawn, known.lhs if known else None, first),
            rhs=self._entities(edges.rhs_rows[first:last], rhs_drawn, known.rhs if known else None, first),
            relations=torch.from_numpy(edges.relation_rows[first:last]).to(self._device).long(),
            weight=torch.from_numpy(edges.weight[first:last]).to(self._device),
        )

    def _entities(self, own: np.ndarray, drawn: np.ndarray, known: KnownRows | None, first: int) -> Entities:
        lists = (
            []
            if known is None
            else [
                set(known.rows[known.first[edge] : known.stop[edge]].tolist())
                for edge in range(first, first + len(own))
            ]
        )
        return Entities(rows=torch.from_numpy(np.concatenate([own, drawn])).to(self._device), known=lists)


def _copy_back(state: State, values: np.ndarray, sums: np.ndarray) -> None:
    values[...] = state.values.cpu().numpy()
    sums[...] = state.sums.cpu().numpy()


def reference_kernel(spec: KernelSpec, *, device: str = "cpu") -> Kernel:
    """The reference for `spec` on a torch device."""
    return ReferenceKernel(spec, torch.device(device))
