"""The middle stage: Hogwild threads train the edges of a lease."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from graphbed.clock import Clock
from graphbed.config.choices import Device
from graphbed.errors import GraphbedError, NotFinite
from graphbed.model.edges import order_edges
from graphbed.model.kernel import Control, EdgeSlice, GroupParameters, Hyper, Kernel, KernelSpec, Table
from graphbed.model.parameters import group_parameters
from graphbed.model.threads import single_threaded_blas
from services.trainer.engines import Engine, open_engine
from services.trainer.metrics import TrainerMetrics
from services.trainer.progress import ProgressBoard
from services.trainer.sharing import SharedParameters, SyncThread
from services.trainer.work import Assignment, LeaseWork

_LOOK_SECONDS = 0.05

_PORTIONS_A_THREAD = 16
"""Enough that no thread waits long for the last one, and that groups take turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What one call of a kernel trains: some chunks of one group."""

    kernel: Kernel
    hyper: Hyper
    edges: EdgeSlice
    lhs: Table
    rhs: Table
    parameters: GroupParameters
    seed: int


class Runner:
    """Trains leases with a fixed number of threads, or on an accelerator."""

    def __init__(
        self,
        *,
        threads: int,
        device: Device | None,
        clock: Clock,
        metrics: TrainerMetrics,
        engines: Callable[[Device], Engine] = open_engine,
    ) -> None:
        """`threads` 0 = what the job says, or all cores this process may use; `device` None = what the job says.

        Raises InputError if this machine has no such device.
        """
        self._threads = threads
        self._device = device
        self._engines = engines
        self._opened: dict[Device, Engine] = {} if device is None else {device: engines(device)}
        self._clock = clock
        self._metrics = metrics

    def train(
        self, work: LeaseWork, shared: SharedParameters, board: ProgressBoard, *, check: Callable[[], None]
    ) -> None:
        """Train every edge of the lease once; tables and shared values change in place.

        Raises NotFinite if a loss or gradient was not finite, and whatever `check` raises; the tables are spoilt then.
        Raises InputError if the device is not there.
        """
        config = work.assignment.job.config
        engine = self._engine(Device.CPU if config.deterministic else self._device or config.trainer.device)
        threads = (
            1
            if config.deterministic
            else engine.most_threads or self._threads or config.trainer.threads or len(os.sched_getaffinity(0))
        )
        portions = self._portions(work, shared, engine, threads)
        controls = [Control.create() for _ in range(min(threads, max(len(portions), 1)))]
        board.attach(controls)
        sync = SyncThread(
            shared, seconds=config.trainer.parameter_sync_seconds, clock=self._clock, metrics=self._metrics
        )
        if not config.deterministic:
            sync.start()
        try:
            with single_threaded_blas():
                self._hogwild(portions, controls, board, check)
        finally:
            sync.finish()
            engine.release()
        if any(control.failed[0] for control in controls):
            raise NotFinite(where=f"the loss of lease {work.assignment.lease_id}")
        if board.edges != work.edge_count:
            raise GraphbedError(what=f"{board.edges} of {work.edge_count} edges were trained")
        work.edges_trained = board.edges
        work.loss = float(sum(control.loss[0] for control in controls))

    def _engine(self, device: Device) -> Engine:
        if device not in self._opened:
            self._opened[device] = self._engines(device)
        return self._opened[device]

    def _portions(self, work: LeaseWork, shared: SharedParameters, engine: Engine, threads: int) -> list[Portion]:
        """The lease's edges in an order that depends on the job's seed, the epoch and the buckets alone."""
        job = work.assignment.job
        portions: list[Portion] = []
        for group, edges in enumerate(work.edges):
            if not len(edges):
                continue
            spec = KernelSpec.from_config(job.config, group)
            seed = lease_seed(work.assignment, group)
            hyper = Hyper.from_config(job.config, group, learning_rate_factor=work.assignment.learning_rate_factor)
            ordered = order_edges(edges, spec, hyper, seed=seed)
            entry = job.config.relations[group]
            edges_a_portion = job.config.batch_size or min(
                ordered.edges // (_PORTIONS_A_THREAD * threads), engine.portion_edges
            )
            chunks_a_portion = max(edges_a_portion // hyper.chunk_edges, 1)
            portions += [
                Portion(
                    kernel=engine.kernel(spec),
                    hyper=hyper,
                    edges=ordered.part(first, min(first + chunks_a_portion, ordered.chunks)),
                    lhs=work.tables[entry.lhs].table,
                    rhs=work.tables[entry.rhs].table,
                    parameters=group_parameters(shared.values, job.config, group),
                    seed=seed,
                )
                for first in range(0, ordered.chunks, chunks_a_portion)
            ]
        if len(work.edges) > 1:
            # Groups take turns, so that no relation is always trained last.
            order = np.random.Generator(np.random.PCG64(lease_seed(work.assignment, -1))).permutation(len(portions))
            portions = [portions[place] for place in order]
        return portions

    def _hogwild(
        self,
        portions: list[Portion],
        controls: list[Control],
        board: ProgressBoard,
        check: Callable[[], None],
    ) -> None:
        queue = _Queue(portions)
        errors: list[Exception] = []

        def work_through(control: Control) -> None:
            try:
                for portion in queue:
                    if control.stop[0] or control.failed[0]:
                        return
                    portion.kernel.train_slice(
                        portion.edges,
                        lhs=portion.lhs,
                        rhs=portion.rhs,
                        parameters=portion.parameters,
                        hyper=portion.hyper,
                        control=control,
                        seed=portion.seed,
                    )
            except Exception as error:
                errors.append(error)

        threads = [
            threading.Thread(target=work_through, args=(control,), name=f"hogwild-{place}")
            for place, control in enumerate(controls)
        ]
        for thread in threads:
            thread.start()
        counted = 0
        try:
            while any(thread.is_alive() for thread in threads):
                check()
                if errors or any(control.failed[0] for control in controls):
                    break
                counted = self._count(board, counted)
                for thread in threads:
                    thread.join(_LOOK_SECONDS)
        finally:
            # Nothing to stop if all portions are done; otherwise no kernel may go on after a loss, an error or a check.
            if any(thread.is_alive() for thread in threads):
                board.stop()
            for thread in threads:
                thread.join()
            self._count(board, counted)
        if errors:
            raise errors[0]
        check()

    def _count(self, board: ProgressBoard, counted: int) -> int:
        """Count the edges that came since `counted`; return how many there are now."""
        edges = board.edges
        self._metrics.edges.inc(edges - counted)
        return edges


class _Queue:
    """Hands each portion to exactly one thread."""

    def __init__(self, portions: list[Portion]) -> None:
        self._portions = iter(portions)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Portion]:
        while True:
            with self._lock:
                portion = next(self._portions, None)
            if portion is None:
                return
            yield portion


def lease_seed(assignment: Assignment, group: int) -> int:
    """64 bits that are the same on any machine that trains these buckets in this epoch."""
    buckets = " ".join(str(bucket) for bucket in sorted(assignment.buckets))
    text = f"{assignment.job.config.seed} {assignment.epoch} {group} {buckets}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
