"""The compiled entry: chunk after chunk of a slice, until its end, the stop flag, or a number that is not finite."""

import numpy as np

from graphbed.model.cpu.random import chunk_key
from graphbed.model.cpu.slots import train_chunk
from graphbed.model.cpu.workspace import Learned, Numbers, Workspace

# Shapes: E edges, C chunks.


def train_chunks(
    lhs_rows: np.ndarray,
    relation_rows: np.ndarray,
    rhs_rows: np.ndarray,
    weight: np.ndarray,
    chunk_starts: np.ndarray,
    lhs: Learned,
    rhs: Learned,
    lhs_values: Learned,
    rhs_values: Learned,
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
        chunk_loss, squares = train_chunk(
            lhs_rows[first:last],
            relation_rows[first:last],
            rhs_rows[first:last],
            weight[first:last],
            lhs,
            rhs,
            lhs_values,
            rhs_values,
            numbers,
            work,
            same_table,
            chunk_key(seed, first),
        )
        progress[0] += last - first
        loss[0] += chunk_loss
        if not (np.isfinite(chunk_loss) and np.isfinite(squares)):
            failed[0] = 1
            return
