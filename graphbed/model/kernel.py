"""Kernels: what trains a slice of edges, whatever it is made of."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from graphbed.config.choices import Comparator, FilterNegatives, Loss, Operator, Optimizer, Regularizer
from graphbed.config.job import JobConfig

# Shapes: E edges, C chunks, V rows of one entity type that a lease holds, D dimension, Rg relations of a group.

PHASES = ("gather", "scores", "loss", "backward", "update")
"""What a kernel does with a chunk, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSpec:
    """What a kernel is specialised for: one combination is one compiled module."""

    operator: Operator
    comparator: Comparator
    loss: Loss
    reciprocal: bool
    optimizer: Optimizer
    regularizer: Regularizer = Regularizer.N3
    bias: bool = False

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
            regularizer=config.regularizer,
            bias=config.bias,
        )

    @property
    def name(self) -> str:
        """Such as `complex_diagonal-dot-softmax-reciprocal-row_adagrad-N3`, with `-bias` where there is one."""
        relations = "reciprocal" if self.reciprocal else "plain"
        parts = [self.operator, self.comparator, self.loss, relations, self.optimizer, self.regularizer]
        return "-".join([*parts, "bias"] if self.bias else parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyper:
    """The numbers of a job that a kernel takes at each call."""

    lr: float
    relation_lr: float
    """Of the group's operator."""
    shared_lr: float | None = None
    """Of global embeddings; None = `relation_lr`."""
    margin: float = 0.1
    """Of ranking and self-adversarial losses."""
    temperature: float = 1.0
    """Of the self-adversarial loss."""
    regularization: float = 0.0
    """λ of the regularizer."""
    batch_negatives: int = 50
    """Same-batch negatives if above 0; their number is that of the chunk's edges."""
    uniform_negatives: int = 50
    """Drawn negatives of a side: first those by degree, then the remote ones, then the uniform ones."""
    degree_negatives: int = 0
    """How many of `uniform_negatives` are the entities of random edges of the arrays of the slice."""
    remote_negatives: int = 0
    """How many of `uniform_negatives` are drawn from the read-only rows of a table, if it has some."""
    other_side_negatives: bool = False
    """The other side's entities of the chunk take the place of the first uniform ones, if both are of one table."""
    all_negatives: bool = False
    """Every trainable row is a negative, in table order, instead of same-batch and drawn ones."""
    lhs_negatives: bool = True
    rhs_negatives: bool = True
    filter_negatives: FilterNegatives = FilterNegatives.NONE
    """Which known edges `order_edges` lists for the kernels in `EdgeSlice.known`."""
    max_norm: float = 0.0
    """Longest embedding after an update; 0 = no limit."""

    @classmethod
    def from_config(cls, config: JobConfig, group: int = 0, *, learning_rate_factor: float = 1.0) -> Self:
        """The numbers for `config.relations[group]`, both learning rates multiplied by `learning_rate_factor`."""
        entry = config.relations[group]
        shared_lr = config.lr if config.relation_lr is None else config.relation_lr
        relation_lr = shared_lr if entry.lr is None else entry.lr
        return cls(
            lr=config.lr * learning_rate_factor,
            relation_lr=relation_lr * learning_rate_factor,
            shared_lr=shared_lr * learning_rate_factor,
            margin=config.margin,
            temperature=config.adversarial_temperature,
            regularization=config.regularization_coef,
            batch_negatives=config.num_batch_negs,
            uniform_negatives=config.num_uniform_negs,
            degree_negatives=round(config.degree_weighted_fraction * config.num_uniform_negs),
            other_side_negatives=config.other_side_negs,
            all_negatives=entry.all_negs,
            lhs_negatives=not config.disable_lhs_negs,
            rhs_negatives=not config.disable_rhs_negs,
            filter_negatives=config.filter_negatives,
            max_norm=config.max_norm or 0.0,
        )

    @property
    def chunk_edges(self) -> int:
        """Edges of a full chunk; they share their drawn negatives and are one another's same-batch negatives."""
        return self.batch_negatives or self.uniform_negatives


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRows:
    """For each edge, rows that are no negatives of one of its sides because they make another known edge."""

    first: np.ndarray
    """int64 [E]: place in `rows` where the edge's list begins."""
    stop: np.ndarray
    """int64 [E]: place where it ends; lists of edges with the same (other entity, relation) are one and the same."""
    rows: np.ndarray
    """int64 [K]: rows of the side's table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEdges:
    """The known edges of both sides."""

    lhs: KnownRows
    rhs: KnownRows


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
    known: KnownEdges | None = None
    """Known edges that are no negatives; None = only the edge itself is none."""

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
            known=self.known,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of one entity type that a lease holds: all its partitions, one below the other."""

    embeddings: np.ndarray
    """float32 [V, D], C-contiguous; written by the kernels."""
    sums: np.ndarray
    """float32 [V, `Optimizer.columns(D)`], C-contiguous: the optimizer's state; written by the kernels."""
    read_only_rows: int = 0
    """The last so many rows belong to partitions that the lease does not hold: never updated, drawn from only as
    remote negatives, never an edge's own."""

    @property
    def trainable_rows(self) -> int:
        return len(self.embeddings) - self.read_only_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class SideParameters:
    """Parameters of one side's operator (zero rows where there is none), or of one global embedding."""

    values: np.ndarray
    """float32 [Rg, `Operator.width(D)`], C-contiguous; written by the kernels."""
    sums: np.ndarray
    """float32, of the same shape: Adagrad's sums of squares; written by the kernels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupParameters:
    """The parameters that a group's edges train; got by `parameters.group_parameters`."""

    rhs: SideParameters
    """Operator; of queries for the rhs if the group is reciprocal."""
    lhs: SideParameters
    """Operator of queries for the lhs; no rows for plain relations."""
    lhs_global: SideParameters | None = None
    """[1, D]: the vector added to all embeddings of the lhs's entity type; None = there is none."""
    rhs_global: SideParameters | None = None
    """[1, D]; the same object as `lhs_global` where both sides have one entity type."""


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
    phases: np.ndarray
    """int64 [5]: nanoseconds in each of PHASES, over all calls with this control, for kernels that measure them."""

    @classmethod
    def create(cls) -> Self:
        """A control at zero."""
        return cls(
            stop=np.zeros(1, np.uint8),
            progress=np.zeros(1, np.int64),
            loss=np.zeros(1, np.float64),
            failed=np.zeros(1, np.uint8),
            phases=np.zeros(len(PHASES), np.int64),
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
