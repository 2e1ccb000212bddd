"""Workspace: the buffers of one kernel call, and the tables and numbers in the form that compiled code takes."""

from typing import NamedTuple, Self

import numpy as np

from graphbed.model.kernel import Hyper

# Shapes: N edges of a chunk at most, M = N + uniform negatives, V rows of a table, Rg relations of a group, D
# dimension.
# Arrays of 2M hold what belongs to the lhs in their first half, what belongs to the rhs in their second; likewise 2N.


class Learned(NamedTuple):
    """Numbers that are trained, and Adagrad's sums of squares for them."""

    values: np.ndarray
    """float32 [V, D] or [Rg, D]."""
    sums: np.ndarray
    """float32 [V, 1], [V, D] or [Rg, D]."""


class Numbers(NamedTuple):
    """`Hyper` as float32 and integers, so that no arithmetic becomes float64 by accident."""

    lr: np.float32
    relation_lr: np.float32
    margin: np.float32
    regularization: np.float32
    batch: int
    """1 if the entities of a chunk are one another's negatives, 0 if not."""
    lhs_uniform: int
    """Uniform negatives of the lhs; 0 if that side has no negatives."""
    rhs_uniform: int
    lhs_side: int
    """1 if the lhs is corrupted."""
    rhs_side: int

    @classmethod
    def from_hyper(cls, hyper: Hyper) -> Self:
        return cls(
            lr=np.float32(hyper.lr),
            relation_lr=np.float32(hyper.relation_lr),
            margin=np.float32(hyper.margin),
            regularization=np.float32(hyper.regularization),
            batch=int(hyper.batch_negatives > 0),
            lhs_uniform=hyper.uniform_negatives if hyper.lhs_negatives else 0,
            rhs_uniform=hyper.uniform_negatives if hyper.rhs_negatives else 0,
            lhs_side=int(hyper.lhs_negatives),
            rhs_side=int(hyper.rhs_negatives),
        )


class Workspace(NamedTuple):
    """Everything a call writes besides the tables; made once a call, reused by its chunks."""

    rows: np.ndarray
    """int64 [2M]: table rows of the candidates: a side's own entities first, then its uniform negatives."""
    owner: np.ndarray
    """int64 [2M]: the first place that holds the same row of the same table; it collects the row's gradient."""
    slots: np.ndarray
    """int64 [power of two]: hash table of places; -1 = free."""
    head: np.ndarray
    """int64 [2M]: by owner, the last edge whose own entity that row is; -1 = none. -1 everywhere between uses."""
    same: np.ndarray
    """int64 [N]: the edge before it with the same own entity; -1 = none."""
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
    """float32 [2N, D]: gradients of the operator parameters; first half lhs, second half rhs."""

    @classmethod
    def create(cls, *, edges: int, uniform: int, relations: int, dimension: int) -> Self:
        """Buffers for chunks of `edges` with `uniform` negatives a side."""
        places = edges + uniform

        def floats(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        return cls(
            rows=np.empty(2 * places, np.int64),
            owner=np.empty(2 * places, np.int64),
            # At most half full, so that a search ends soon.
            slots=np.empty(1 << (4 * places - 1).bit_length(), np.int64),
            head=np.full(2 * places, -1, np.int64),
            same=np.empty(edges, np.int64),
            points=floats(2 * places, dimension),
            compared=floats(2 * places, dimension),
            grads=floats(2 * places, dimension),
            scales=floats(2 * places),
            queries=floats(2 * edges, dimension),
            query_grads=floats(2 * edges, dimension),
            query_scales=floats(2 * edges),
            scores=floats(2, edges * places),
            positives=floats(2 * edges),
            negatives=np.empty(2 * edges, np.int64),
            relations=np.empty(places, np.int32),
            local=np.empty(places, np.int32),
            distinct=np.empty(edges, np.int32),
            relation_slot=np.full(max(relations, 1), -1, np.int32),
            value_grads=floats(2 * edges, dimension),
        )
