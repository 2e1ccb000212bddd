"""The compiled entry: chunk after chunk of a slice, until its end, the stop flag, or a number that is not finite."""

import numpy as np

from graphbed.model.cpu.random import chunk_key
from graphbed.model.cpu.slots import train_chunk
from graphbed.model.cpu.workspace import Edges, Known, Numbers, Side, Workspace

# Shapes: E edges, C chunks.


def known_of(known: Known, first: int, last: int) -> Known:
    """The lists of the edges from `first` up to but without `last`; nothing if nothing is known."""
    if known.first.shape[0] == 0:
        return known
    return Known(known.first[first:last], known.stop[first:last], known.rows)


def train_chunks(
    edges: Edges,
    chunk_starts: np.ndarray,
    lhs: Side,
    rhs: Side,
    numbers: Numbers,
    work: Workspace,
    same_table: int,
    seed: np.uint64,
    stop: np.ndarray,
    progress: np.ndarray,
    loss: np.ndarray,
    failed: np.ndarray,
) -> None:
    """Arrays as in EdgeSlice, Table and Control; `same_table` is 1 if lhs and rhs are one table."""
    for chunk in range(chunk_starts.shape[0] - 1):
        if stop[0]:
            return
        first, last = chunk_starts[chunk], chunk_starts[chunk + 1]
        if first == last:
            continue
        part = Edges(
            edges.lhs_rows[first:last],
            edges.relation_rows[first:last],
            edges.rhs_rows[first:last],
            edges.weight[first:last],
            known_of(edges.lhs_known, first, last),
            known_of(edges.rhs_known, first, last),
        )
        chunk_loss, squares = train_chunk(part, lhs, rhs, numbers, work, same_table, chunk_key(seed, first))
        progress[0] += last - first
        loss[0] += chunk_loss
        if not (np.isfinite(chunk_loss) and np.isfinite(squares)):
            failed[0] = 1
            return
