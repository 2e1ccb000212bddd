"""Workspace: the buffers of one kernel call, and the tables and numbers in the form that compiled code takes."""

from typing import NamedTuple, Self

import numpy as np

from graphbed.model.kernel import PHASES, Hyper

# Shapes: N edges of a chunk at most, M = N + drawn negatives, V rows of a table, Rg relations of a group, K numbers of
# an operator, S numbers of the optimizer, D dimension.
# Arrays of 2M hold what belongs to the lhs in their first half, what belongs to the rhs in their second; likewise 2N.


class Learned(NamedTuple):
    """Numbers that are trained, and what the optimizer keeps for them."""

    values: np.ndarray
    """float32 [V, D] or [Rg, K]."""
    sums: np.ndarray
    """float32 [V, S] or [Rg, K]."""
    trainable: int
    """Rows from this one on are never updated."""


class Known(NamedTuple):
    """For one side: rows[first[e] : stop[e]] are no negatives of edge e. Empty arrays: nothing is known."""

    first: np.ndarray
    """int64 [E]."""
    stop: np.ndarray
    """int64 [E]."""
    rows: np.ndarray
    """int64 [K]."""


class Side(NamedTuple):
    """Everything that belongs to one side of the edges."""

    table: Learned
    operator: Learned
    """Of queries for this side; plain relations have the rhs's alone."""
    shared: Learned
    """[1, D]: the global embedding of the entity type; [0, D] without one."""
    ends: np.ndarray
    """int64 [E]: the rows of this side of all edges of the slice's arrays."""


class Edges(NamedTuple):
    """The edges of one chunk: views of the slice's arrays."""

    lhs_rows: np.ndarray
    """int64 [N]."""
    relation_rows: np.ndarray
    """int32 [N]."""
    rhs_rows: np.ndarray
    """int64 [N]."""
    weight: np.ndarray
    """float32 [N]."""
    lhs_known: Known
    rhs_known: Known


class Numbers(NamedTuple):
    """`Hyper` as float32 and integers, so that no arithmetic becomes float64 by accident."""

    lr: np.float32
    relation_lr: np.float32
    shared_lr: np.float32
    """Of global embeddings."""
    margin: np.float32
    temperature: np.float32
    regularization: np.float32
    max_norm: np.float32
    batch: int
    """1 if the entities of a chunk are one another's negatives, 0 if not."""
    lhs_drawn: int
    """Drawn negatives of the lhs; 0 if that side has no negatives."""
    rhs_drawn: int
    every: int
    """1 if the drawn negatives are all trainable rows in table order."""
    degree: int
    """How many of a side's drawn negatives are the entities of random edges; they come first."""
    remote: int
    """How many come from read-only rows, if there are any; they come next."""
    other_side: int
    """1 if the chunk's entities of the other side take the place of the drawn negatives that come after those."""
    lhs_side: int
    """1 if the lhs is corrupted."""
    rhs_side: int

    @classmethod
    def from_hyper(cls, hyper: Hyper, *, lhs_rows: int, rhs_rows: int, one_table: bool) -> Self:
        """`lhs_rows` and `rhs_rows` are the trainable rows of the tables, which may be one."""

        def drawn(side: bool, rows: int) -> int:
            return 0 if not side else rows if hyper.all_negatives else hyper.uniform_negatives

        return cls(
            lr=np.float32(hyper.lr),
            relation_lr=np.float32(hyper.relation_lr),
            shared_lr=np.float32(hyper.relation_lr if hyper.shared_lr is None else hyper.shared_lr),
            margin=np.float32(hyper.margin),
            temperature=np.float32(hyper.temperature),
            regularization=np.float32(hyper.regularization),
            max_norm=np.float32(hyper.max_norm),
            batch=int(hyper.batch_negatives > 0 and not hyper.all_negatives),
            lhs_drawn=drawn(hyper.lhs_negatives, lhs_rows),
            rhs_drawn=drawn(hyper.rhs_negatives, rhs_rows),
            every=int(hyper.all_negatives),
            degree=hyper.degree_negatives,
            remote=hyper.remote_negatives,
            other_side=int(hyper.other_side_negatives and one_table),
            lhs_side=int(hyper.lhs_negatives),
            rhs_side=int(hyper.rhs_negatives),
        )


class Workspace(NamedTuple):
    """Everything a call writes besides the tables; made once a call, reused by its chunks."""

    rows: np.ndarray
    """int64 [2M]: table rows of the candidates: a side's own entities first, then its drawn negatives."""
    ahead: np.ndarray
    """int64 [2M]: those of the next chunk; after the last chunk, some rows of the tables."""
    owner: np.ndarray
    """int64 [2M]: the first place that holds the same row of the same table; it collects the row's gradient."""
    slots: np.ndarray
    """int64 [2, power of two]: hash tables of places, -1 = free: of both sides or the lhs, and of a separate rhs."""
    head: np.ndarray
    """int64 [2M]: by owner, the last edge whose own entity that row is; -1 = none. -1 everywhere between uses."""
    same: np.ndarray
    """int64 [N]: the edge before it with the same own entity; -1 = none."""
    place_head: np.ndarray
    """int64 [2M]: by owner, the last candidate place that holds that row; -1 = none. -1 everywhere between uses."""
    place_same: np.ndarray
    """int64 [2M]: the candidate place before it with the same row; -1 = none."""
    points: np.ndarray
    """float32 [2M, D]: the candidates' vectors as they are in the tables."""
    compared: np.ndarray
    """float32 [2M, D]: the candidates' vectors as they enter the dot products."""
    grads: np.ndarray
    """float32 [2M, D]: gradients of the candidates."""
    scales: np.ndarray
    """float32 [2M]: what the comparator keeps for its way back."""
    queries: np.ndarray
    """float32 [2N, D]: second half: queries for the rhs; first half: for the lhs (reciprocal groups)."""
    query_grads: np.ndarray
    """float32 [2N, D]."""
    query_scales: np.ndarray
    """float32 [2N]."""
    scores: np.ndarray
    """float32 [2, N · M]: scores, then their gradients; row-major [edges, candidates] for each side."""
    kept: np.ndarray
    """float32 [2, N · M]: scores before the loss made derivatives of them, where the comparator needs them."""
    positives: np.ndarray
    """float32 [2N]: scores of the edges themselves, then their gradients."""
    negatives: np.ndarray
    """int64 [2N]: number of negatives of each edge and side."""
    relations: np.ndarray
    """int32 [M]: relation row of each place."""
    local: np.ndarray
    """int32 [M]: row of `value_grads` of each place."""
    distinct: np.ndarray
    """int32 [N]: relation row of each row of `value_grads`."""
    relation_slot: np.ndarray
    """int32 [Rg]: row of `value_grads` of each relation of the chunk; -1 everywhere between uses."""
    value_grads: np.ndarray
    """float32 [2N, K]: gradients of the operator parameters; first half lhs, second half rhs."""
    clock: np.ndarray
    """int64 [6]: nanoseconds by phase, see phases.py."""
    global_grads: np.ndarray
    """float32 [2, D]: gradients of the global embeddings of the lhs's and of the rhs's entity type."""

    @classmethod
    def create(cls, *, edges: int, drawn: int, relations: int, width: int, dimension: int) -> Self:
        """Buffers for chunks of `edges` with `drawn` negatives a side, and operators of `width` numbers."""
        places = edges + drawn

        def floats(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        return cls(
            rows=np.empty(2 * places, np.int64),
            ahead=np.zeros(2 * places, np.int64),
            owner=np.empty(2 * places, np.int64),
            # At most half full, so that a search ends soon.
            slots=np.empty((2, 1 << (4 * places - 1).bit_length()), np.int64),
            head=np.full(2 * places, -1, np.int64),
            same=np.empty(edges, np.int64),
            place_head=np.full(2 * places, -1, np.int64),
            place_same=np.empty(2 * places, np.int64),
            points=floats(2 * places, dimension),
            compared=floats(2 * places, dimension),
            grads=floats(2 * places, dimension),
            scales=floats(2 * places),
            queries=floats(2 * edges, dimension),
            query_grads=floats(2 * edges, dimension),
            query_scales=floats(2 * edges),
            scores=floats(2, edges * places),
            kept=floats(2, edges * places),
            positives=floats(2 * edges),
            negatives=np.empty(2 * edges, np.int64),
            relations=np.empty(places, np.int32),
            local=np.empty(places, np.int32),
            distinct=np.empty(edges, np.int32),
            relation_slot=np.full(max(relations, 1), -1, np.int32),
            value_grads=floats(2 * edges, width),
            clock=np.zeros(len(PHASES) + 1, np.int64),
            global_grads=floats(2, dimension),
        )
