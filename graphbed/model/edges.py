"""Edge order: shuffling a group's edges and cutting them into chunks."""

import numpy as np

from graphbed.config.choices import FilterNegatives
from graphbed.graph.edges import EdgeArrays
from graphbed.model.kernel import EdgeSlice, Hyper, KernelSpec, KnownEdges
from graphbed.model.known import known_edges

# Shapes: E edges, C chunks.


def order_edges(edges: EdgeArrays, spec: KernelSpec, hyper: Hyper, *, seed: int) -> EdgeSlice:
    """`edges` (rows of tables and of the group's tensors) in a random order that is a function of `seed` alone.

    Reciprocal groups: shuffled and cut into chunks of `hyper.chunk_edges`. Plain groups: a chunk has one relation, so
    the shuffled edges are sorted by relation, each relation is cut by itself, and the chunks are shuffled.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    order = generator.permutation(len(edges.lhs))
    starts = np.arange(0, len(order), hyper.chunk_edges, dtype=np.int64)
    if not spec.reciprocal:
        order, starts = _chunks_of_one_relation(edges.relation, order, hyper.chunk_edges, generator)
    ordered, starts = edges.take(order), np.append(starts, np.int64(len(order)))
    return EdgeSlice(
        lhs_rows=np.ascontiguousarray(ordered.lhs, np.int64),
        relation_rows=np.ascontiguousarray(ordered.relation, np.int32),
        rhs_rows=np.ascontiguousarray(ordered.rhs, np.int64),
        weight=np.ascontiguousarray(ordered.weight, np.float32),
        chunk_starts=starts,
        known=_known(ordered, starts, hyper.filter_negatives),
    )


def _known(edges: EdgeArrays, starts: np.ndarray, filtered: FilterNegatives) -> KnownEdges | None:
    if filtered is FilterNegatives.NONE:
        return None
    return known_edges(edges, starts if filtered is FilterNegatives.CHUNK else None)


def _chunks_of_one_relation(
    relation: np.ndarray, order: np.ndarray, chunk_edges: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    order = order[np.argsort(relation[order], kind="stable")]
    _, first, count = np.unique(relation[order], return_index=True, return_counts=True)
    starts = np.concatenate(
        [np.arange(start, start + edges, chunk_edges) for start, edges in zip(first, count, strict=True)]
        or [np.empty(0, np.int64)]
    )
    sizes = np.diff(np.append(starts, len(order)))
    shuffled = generator.permutation(len(starts))
    new_starts = np.concatenate([[0], np.cumsum(sizes[shuffled])[:-1]]) if len(starts) else starts
    # Edge k of the new order comes from the same place inside its chunk's old position.
    positions = np.arange(len(order)) + np.repeat(starts[shuffled] - new_starts, sizes[shuffled])
    return order[positions], new_starts.astype(np.int64)
