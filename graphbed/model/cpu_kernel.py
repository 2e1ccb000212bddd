"""The CPU kernel: a slice of edges in one compiled call without the GIL."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from graphbed.config.choices import Operator
from graphbed.model.checks import require_arguments
from graphbed.model.cpu.source import cache_directory, load_module
from graphbed.model.cpu.workspace import Edges, Known, Learned, Numbers, Side, Workspace
from graphbed.model.kernel import (
    PHASES,
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

Entry = Callable[..., None]
"""`train_chunks` of graphbed/model/cpu/slice.py, compiled or as it is."""


class CpuKernel:
    """A combination of the functions in graphbed/model/cpu; see `graphbed.model.kernel.Kernel`."""

    def __init__(self, spec: KernelSpec, entry: Entry) -> None:
        self._spec = spec
        self._entry = entry
        self._buffers = threading.local()

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
        one_table = lhs.embeddings is rhs.embeddings
        numbers = Numbers.from_hyper(
            hyper, lhs_rows=lhs.trainable_rows, rhs_rows=rhs.trainable_rows, one_table=one_table
        )
        work = self._workspace(
            hyper, max(numbers.lhs_drawn, numbers.rhs_drawn), parameters.rhs, lhs.embeddings.shape[1]
        )
        known = edges.known
        self._entry(
            Edges(
                edges.lhs_rows,
                edges.relation_rows,
                edges.rhs_rows,
                edges.weight,
                _known(known.lhs if known else None),
                _known(known.rhs if known else None),
            ),
            edges.chunk_starts,
            _side(lhs, parameters.lhs, parameters.lhs_global, edges.lhs_rows),
            _side(rhs, parameters.rhs, parameters.rhs_global, edges.rhs_rows),
            numbers,
            work,
            int(one_table),
            np.uint64(seed),
            control.stop,
            control.progress,
            control.loss,
            control.failed,
        )
        np.add(control.phases, work.clock[: len(PHASES)], out=control.phases)
        work.clock[:] = 0

    def _workspace(self, hyper: Hyper, drawn: int, operator: SideParameters, dimension: int) -> Workspace:
        """This thread's buffers: fresh memory costs page faults, so the next call takes them again if they fit."""
        relations, width = operator.values.shape
        shape = (hyper.chunk_edges, drawn, relations, width, dimension)
        if getattr(self._buffers, "shape", None) != shape:
            self._buffers.work = Workspace.create(
                edges=hyper.chunk_edges, drawn=drawn, relations=relations, width=width, dimension=dimension
            )
            self._buffers.shape = shape
        work: Workspace = self._buffers.work
        return work


def _side(table: Table, operator: SideParameters, shared: SideParameters | None, ends: np.ndarray) -> Side:
    """One side's arrays; what there is none of becomes an array without rows."""
    none = table.embeddings[:0]
    return Side(
        Learned(table.embeddings, table.sums, table.trainable_rows),
        Learned(operator.values, operator.sums, len(operator.values)),
        Learned(shared.values, shared.sums, 1) if shared is not None else Learned(none, none, 0),
        ends,
    )


def _known(known: KnownRows | None) -> Known:
    none = np.zeros(0, np.int64)
    return Known(none, none, none) if known is None else Known(known.first, known.stop, known.rows)


def cpu_kernel(spec: KernelSpec) -> Kernel:
    """The compiled kernel for `spec`, ready to run.

    Compiles for 10 to 30 seconds the first time on a machine, and reads the machine code from the cache directory
    afterwards (GRAPHBED_KERNEL_CACHE, default ~/.cache/graphbed/kernels). Raises InputError if that cannot be written.
    """
    module: Any = load_module(spec, cache_directory())
    kernel = CpuKernel(spec, module.entry)
    _warm(kernel)
    return kernel


def _warm(kernel: CpuKernel) -> None:
    """Call the kernel with no edges, which compiles it for the types that every call has."""
    dimension = 4
    columns = kernel.spec.optimizer.columns(dimension)
    relations = 0 if kernel.spec.operator is Operator.NONE else 1

    def side(rows: int) -> SideParameters:
        shape = (rows, kernel.spec.operator.width(dimension))
        return SideParameters(values=np.ones(shape, np.float32), sums=np.ones(shape, np.float32))

    table = Table(embeddings=np.ones((1, dimension), np.float32), sums=np.ones((1, columns), np.float32))
    kernel.train_slice(
        EdgeSlice(
            lhs_rows=np.zeros(0, np.int64),
            relation_rows=np.zeros(0, np.int32),
            rhs_rows=np.zeros(0, np.int64),
            weight=np.zeros(0, np.float32),
            chunk_starts=np.zeros(1, np.int64),
        ),
        lhs=table,
        rhs=table,
        parameters=GroupParameters(rhs=side(relations), lhs=side(relations if kernel.spec.reciprocal else 0)),
        hyper=Hyper(lr=0.1, relation_lr=0.1),
        control=Control.create(),
        seed=0,
    )
