"""The device kernel: the step in torch, many chunks at a time, on a GPU or wherever torch runs."""

import torch

from graphbed.config.choices import Comparator
from graphbed.errors import InputError
from graphbed.model.checks import require_arguments
from graphbed.model.device.batches import batches
from graphbed.model.device.draws import Draws, device_draws
from graphbed.model.device.residency import Borrowed, Residency
from graphbed.model.device.step import Side, train_batch
from graphbed.model.kernel import Control, EdgeSlice, GroupParameters, Hyper, KernelSpec, Table

BATCH_EDGES = 1 << 15
"""Edges of a batch, if they fit: enough work for a device, few enough for the rows not to be stale."""
BATCH_BYTES = 2 << 30
"""Memory of one batch's rows, scores and gradients, about."""
LOOK_BATCHES = 16
"""Losses are read from the device, and the stop flag obeyed, every so many batches."""


class DeviceKernel:
    """One combination on one device. The tables are those of `residency`: current there until it is released."""

    def __init__(
        self,
        spec: KernelSpec,
        residency: Residency,
        *,
        draws: Draws = device_draws,
        batch_chunks: int | None = None,
        look_batches: int = LOOK_BATCHES,
    ) -> None:
        """`batch_chunks` None = as many as make BATCH_EDGES and fit into BATCH_BYTES."""
        self._spec = spec
        self._residency = residency
        self._draws = draws
        self._batch_chunks = batch_chunks
        self._look_batches = look_batches

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
        """As `Kernel.train_slice`, but with one update of each row a batch, and negatives that the device draws."""
        require_arguments(self._spec, edges, lhs, rhs, parameters, hyper, control, seed)
        device = self._residency.device
        groups = (parameters.lhs, parameters.rhs, parameters.lhs_global, parameters.rhs_global)
        borrowed = {id(group): Borrowed.take(group, device) for group in groups if group is not None}
        left, right = (
            Side(
                table=self._residency.table(table),
                operator=borrowed[id(operator)].state,
                shared=None if shared is None else borrowed[id(shared)].state,
            )
            for table, operator, shared in (
                (lhs, parameters.lhs, parameters.lhs_global),
                (rhs, parameters.rhs, parameters.rhs_global),
            )
        )
        chunks = self._batch_chunks or chunks_a_batch(self._spec, hyper, lhs, rhs)
        told = _Told(control)
        for batch, count in batches(
            edges, (lhs, rhs), hyper, chunks=chunks, draws=self._draws, seed=seed, device=device
        ):
            if control.stop[0]:
                break
            told.note(count, *train_batch(self._spec, hyper, batch, left, right))
            if told.batches >= self._look_batches and not told.tell():
                break
        told.tell()
        for one in borrowed.values():
            one.give_back()


class _Told:
    """What batches came to, on the device until it is told."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._edges = 0
        self._losses: list[torch.Tensor] = []
        self._finite: list[torch.Tensor] = []

    @property
    def batches(self) -> int:
        return len(self._losses)

    def note(self, edges: int, loss: torch.Tensor, finite: torch.Tensor) -> None:
        self._edges += edges
        self._losses.append(loss)
        self._finite.append(finite)

    def tell(self) -> bool:
        """Wait for the device and write to the control; False if a number was not finite."""
        if self._losses:
            self._control.progress[0] += self._edges
            self._control.loss[0] += float(torch.stack(self._losses).sum())
            if not bool(torch.stack(self._finite).all()):
                self._control.failed[0] = 1
        self._edges = 0
        self._losses.clear()
        self._finite.clear()
        return not self._control.failed[0]


def chunks_a_batch(spec: KernelSpec, hyper: Hyper, lhs: Table, rhs: Table) -> int:
    """How many chunks make BATCH_EDGES, or fit into BATCH_BYTES with rows, scores and their gradients."""
    edges, dimension = max(hyper.chunk_edges, 1), lhs.embeddings.shape[1]
    bytes_a_chunk = 0
    for table in (lhs, rhs):
        candidates = edges + (table.trainable_rows if hyper.all_negatives else hyper.uniform_negatives)
        pairs = edges * candidates
        bytes_a_chunk += 4 * (6 * candidates * dimension + 8 * pairs)
        if spec.comparator not in (Comparator.DOT, Comparator.COS):
            bytes_a_chunk += 4 * 4 * pairs * dimension  # the differences of all pairs
    return max(min(BATCH_EDGES // edges, BATCH_BYTES // bytes_a_chunk), 1)


def open_device(name: str) -> torch.device:
    """The torch device of that name, such as cpu or cuda. Raises InputError if this machine has none."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            what=f"the device {name} cannot be used on this machine: {str(error).splitlines()[0]}"
        ) from error
    return device
