"""Kernels: what trains a slice of edges, whatever it is made of."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from graphbed.config.job import Comparator, JobConfig, Loss, Operator, Optimizer

# Shapes: E edges, C chunks, V rows of one entity type that a lease holds, D dimension, Rg relations of a group.


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSpec:
    """What a kernel is specialised for: one combination is one compiled module."""

    operator: Operator
    comparator: Comparator
    loss: Loss
    reciprocal: bool
    optimizer: Optimizer

    @classmethod
    def from_config(cls, config: JobConfig, group: int) -> Self:
        """The combination that the relations of `config.relations[group]` need."""
        entry = config.relations[group]
        return cls(
            operator=entry.operator,
            comparator=config.comparator,
            loss=config.loss_fn,
            reciprocal=entry.reciprocal,
            optimizer=config.optimizer,
        )

    @property
    def name(self) -> str:
        """Such as `complex_diagonal-dot-softmax-reciprocal-row_adagrad`."""
        relations = "reciprocal" if self.reciprocal else "plain"
        return f"{self.operator}-{self.comparator}-{self.loss}-{relations}-{self.optimizer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyper:
    """The numbers of a job that a kernel takes at each call."""

    lr: float
    relation_lr: float
    margin: float = 0.1
    """Ranking loss only."""
    regularization: float = 0.0
    """λ of N3."""
    batch_negatives: int = 50
    """Same-batch negatives if above 0; their number is that of the chunk's edges."""
    uniform_negatives: int = 50
    lhs_negatives: bool = True
    rhs_negatives: bool = True

    @classmethod
    def from_config(cls, config: JobConfig, *, learning_rate_factor: float = 1.0) -> Self:
        """The job's numbers, both learning rates multiplied by `learning_rate_factor`."""
        relation_lr = config.lr if config.relation_lr is None else config.relation_lr
        return cls(
            lr=config.lr * learning_rate_factor,
            relation_lr=relation_lr * learning_rate_factor,
            margin=config.margin,
            regularization=config.regularization_coef,
            batch_negatives=config.num_batch_negs,
            uniform_negatives=config.num_uniform_negs,
            lhs_negatives=not config.disable_lhs_negs,
            rhs_negatives=not config.disable_rhs_negs,
        )

    @property
    def chunk_edges(self) -> int:
        """Edges of a full chunk; they share their uniform negatives and are one another's same-batch negatives."""
        return self.batch_negatives or self.uniform_negatives


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSlice:
    """Edges of one group in training order, cut into chunks. Made by `graphbed.model.edges.order_edges`."""

    lhs_rows: np.ndarray
    """int64 [E]: rows of the lhs table."""
    relation_rows: np.ndarray
    """int32 [E]: rows of the group's parameter tensors."""
    rhs_rows: np.ndarray
    """int64 [E]: rows of the rhs table."""
    weight: np.ndarray
    """float32 [E]: multiplies the edge's loss."""
    chunk_starts: np.ndarray
    """int64 [C + 1]: chunk c holds the edges from chunk_starts[c] up to but without chunk_starts[c + 1]."""

    @property
    def chunks(self) -> int:
        return max(len(self.chunk_starts) - 1, 0)

    @property
    def edges(self) -> int:
        return int(self.chunk_starts[-1] - self.chunk_starts[0]) if self.chunks else 0

    def part(self, first_chunk: int, stop_chunk: int) -> "EdgeSlice":
        """The chunks from `first_chunk` up to but without `stop_chunk`; nothing is copied."""
        return EdgeSlice(
            lhs_rows=self.lhs_rows,
            relation_rows=self.relation_rows,
            rhs_rows=self.rhs_rows,
            weight=self.weight,
            chunk_starts=self.chunk_starts[first_chunk : stop_chunk + 1],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of one entity type that a lease holds: all its partitions, one below the other."""

    embeddings: np.ndarray
    """float32 [V, D], C-contiguous; written by the kernels."""
    sums: np.ndarray
    """float32 [V, 1] (row Adagrad) or [V, D] (Adagrad by element), C-contiguous; written by the kernels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideParameters:
    """The operator parameters of one side; zero rows where there is no operator on that side."""

    values: np.ndarray
    """float32 [Rg, D], C-contiguous; written by the kernels."""
    sums: np.ndarray
    """float32 [Rg, D], C-contiguous: Adagrad's sums of squares; written by the kernels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupParameters:
    """The operator parameters of a group. Plain relations use rhs alone; got by `parameters.group_parameters`."""

    rhs: SideParameters
    lhs: SideParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One thread's line to its running kernel: arrays that both sides read and write without locks."""

    stop: np.ndarray
    """uint8 [1]: set it to 1 and the call ends before its next chunk."""
    progress: np.ndarray
    """int64 [1]: edges trained, over all calls with this control."""
    loss: np.ndarray
    """float64 [1]: their loss, summed over edges and sides, without the regularizer."""
    failed: np.ndarray
    """uint8 [1]: 1 after a loss or a gradient was not finite; the call ended there, and the tables are spoilt."""

    @classmethod
    def create(cls) -> Self:
        """A control at zero."""
        return cls(
            stop=np.zeros(1, np.uint8),
            progress=np.zeros(1, np.int64),
            loss=np.zeros(1, np.float64),
            failed=np.zeros(1, np.uint8),
        )


class Kernel(Protocol):
    """Trains slices of edges. Safe for concurrent threads on the same tables (Hogwild), each with its own control."""

    @property
    def spec(self) -> KernelSpec: ...

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
        """Train the chunks of `edges` in order, with one update of each touched row a chunk.

        `lhs` and `rhs` are the same object where both sides have one entity type. Uniform negatives are a function of
        `seed` (0 ≤ seed < 2^64) and of the chunk's place in the arrays: not of the thread, nor of how the chunks were
        dealt into calls. Raises ValueError if a shape or a dtype is wrong, before anything is written.
        """
        ...
