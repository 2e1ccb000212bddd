"""The compiled entry: chunk after chunk of a slice, until its end, the stop flag, or a number that is not finite."""

import numpy as np

from graphbed.model.cpu.chunk import look_ahead
from graphbed.model.cpu.phases import start_clock
from graphbed.model.cpu.random import chunk_key
from graphbed.model.cpu.slots import train_chunk
from graphbed.model.cpu.workspace import Edges, Known, Numbers, Side, Workspace

# Shapes: E edges, C chunks.


def known_of(known: Known, first: int, last: int) -> Known:
    """The lists of the edges from `first` up to but without `last`; nothing if nothing is known."""
    if known.first.shape[0] == 0:
        return known
    return Known(known.first[first:last], known.stop[first:last], known.rows)


def edges_of(edges: Edges, chunk_starts: np.ndarray, chunk: int) -> Edges:
    """The edges of one chunk."""
    first, last = chunk_starts[chunk], chunk_starts[chunk + 1]
    return Edges(
        edges.lhs_rows[first:last],
        edges.relation_rows[first:last],
        edges.rhs_rows[first:last],
        edges.weight[first:last],
        known_of(edges.lhs_known, first, last),
        known_of(edges.rhs_known, first, last),
    )


def next_chunk(chunk_starts: np.ndarray, chunk: int) -> int:
    """The next chunk after `chunk` that has edges; C if there is none."""
    chunk += 1
    while chunk < chunk_starts.shape[0] - 1 and chunk_starts[chunk] == chunk_starts[chunk + 1]:
        chunk += 1
    return chunk


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
    start_clock(work.clock)
    chunks, chunk = chunk_starts.shape[0] - 1, next_chunk(chunk_starts, -1)
    if chunk < chunks:
        part = edges_of(edges, chunk_starts, chunk)
        look_ahead(part, lhs, rhs, numbers, work, chunk_key(seed, chunk_starts[chunk]))
    while chunk < chunks and not stop[0]:
        part = edges_of(edges, chunk_starts, chunk)
        work.rows[:] = work.ahead
        chunk = next_chunk(chunk_starts, chunk)
        if chunk < chunks:
            ahead = edges_of(edges, chunk_starts, chunk)
            look_ahead(ahead, lhs, rhs, numbers, work, chunk_key(seed, chunk_starts[chunk]))
        chunk_loss, squares = train_chunk(part, lhs, rhs, numbers, work, same_table)
        progress[0] += part.weight.shape[0]
        loss[0] += chunk_loss
        if not (np.isfinite(chunk_loss) and np.isfinite(squares)):
            failed[0] = 1
            return
