"""Workload: everything that a kernel is called with, so that threads can train for as long as somebody measures."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from graphbed.benchmark.subject import Subject
from graphbed.graph.partition import Partition
from graphbed.model.edges import order_edges
from graphbed.model.kernel import Control, EdgeSlice, GroupParameters, Hyper, Kernel, KernelSpec, Table
from graphbed.model.parameters import group_parameters, initial_parameters
from graphbed.model.relations import RelationGroups
from graphbed.model.tables import initial_partition

PORTION_EDGES = 1 << 16
"""The most edges of one kernel call, as in a trainer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A subject with tables and parameters; untrained when it is made."""

    spec: KernelSpec
    hyper: Hyper
    edges: EdgeSlice
    lhs: Table
    rhs: Table
    parameters: GroupParameters

    @classmethod
    def create(cls, subject: Subject) -> Self:
        config, group = subject.config, subject.group
        entry, spec = config.relations[group], KernelSpec.from_config(config, group)
        hyper = Hyper.from_config(config, group)
        tables = {}
        for name, rows in subject.rows.items():
            arrays = initial_partition(config, Partition(name, 0), rows)
            tables[name] = Table(embeddings=arrays.embeddings, sums=arrays.sums)
        # The parameters of this group alone.
        counts = tuple(subject.relations if other == group else 0 for other in range(len(config.relations)))
        none = np.empty(0, np.int32)
        groups = RelationGroups(entries=tuple(config.relations), group=none, row=none, counts=counts)
        return cls(
            spec=spec,
            hyper=hyper,
            edges=order_edges(subject.edges, spec, hyper, seed=config.seed),
            lhs=tables[entry.lhs],
            rhs=tables[entry.rhs],
            parameters=group_parameters(initial_parameters(config, groups), config, group),
        )

    @property
    def negatives(self) -> int:
        """Candidates of an edge on one side, its own entity not counted twice."""
        rows = max(self.lhs.trainable_rows, self.rhs.trainable_rows)
        return rows if self.hyper.all_negatives else self.hyper.batch_negatives + self.hyper.uniform_negatives

    @property
    def sides(self) -> int:
        """Sides that have negatives."""
        return int(self.hyper.lhs_negatives) + int(self.hyper.rhs_negatives)


class Lap:
    """One thread's way through its part of a workload, over and over."""

    def __init__(self, workload: Workload, kernel: Kernel, *, place: int, places: int) -> None:
        """The thread is number `place` of `places`."""
        cuts = np.linspace(0, workload.edges.chunks, places + 1).astype(int).tolist()
        self._first, self._stop = cuts[place], cuts[place + 1]
        self._workload, self._kernel = workload, kernel
        self._next, self._round = self._first, 0
        self.control = Control.create()

    def run(self) -> int:
        """Train portion after portion until the control's stop flag is set; return the number of edges."""
        work, before = self._workload, int(self.control.progress[0])
        chunks = max(PORTION_EDGES // work.hyper.chunk_edges, 1)
        while self._first < self._stop and not self.control.stop[0] and not self.control.failed[0]:
            stop, done = min(self._next + chunks, self._stop), int(self.control.progress[0])
            self._kernel.train_slice(
                work.edges.part(self._next, stop),
                lhs=work.lhs,
                rhs=work.rhs,
                parameters=work.parameters,
                hyper=work.hyper,
                control=self.control,
                seed=self._round,
            )
            reached = int(work.edges.chunk_starts[self._next]) + int(self.control.progress[0]) - done
            self._next = int(np.searchsorted(work.edges.chunk_starts, reached))
            if self._next >= self._stop:
                self._next, self._round = self._first, self._round + 1
        return int(self.control.progress[0]) - before
