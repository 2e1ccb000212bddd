"""Rows of a chunk: gathering them, finding those that occur twice, adding their gradients up, writing them back."""

import numpy as np

from graphbed.model.cpu.random import draw_rows
from graphbed.model.cpu.slots import update_row
from graphbed.model.cpu.workspace import Learned

# Shapes: P places (entities of a chunk), V rows of a table, D dimension.

HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
HASH_SHIFT = np.uint64(32)


def choose_rows(own: np.ndarray, key: np.uint64, first: int, count: int, rows: np.ndarray) -> None:
    """The entities of one side into `rows`: `own`, then draws of `key` from a table of `count` rows."""
    edges = own.shape[0]
    for i in range(edges):
        rows[i] = own[i]
    draw_rows(key, first, count, rows[edges:])


def gather(table: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """table[rows] into `out` [P, D]."""
    for p in range(rows.shape[0]):
        row = rows[p]
        for d in range(out.shape[1]):
            out[p, d] = table[row, d]


def clear(slots: np.ndarray) -> None:
    """Forget the places in the hash table `slots`."""
    for k in range(slots.shape[0]):
        slots[k] = -1


def find_owners(rows: np.ndarray, start: int, stop: int, slots: np.ndarray, owner: np.ndarray) -> None:
    """owner[p] = the first place that holds rows[p], for the places from `start` up to but without `stop`.

    Places of earlier calls since `clear(slots)` count as first; `slots` is an open hash table, its size a power of two.
    """
    mask = slots.shape[0] - 1
    for p in range(start, stop):
        row = rows[p]
        slot = np.int64((np.uint64(row) * HASH_MULTIPLIER) >> HASH_SHIFT) & mask
        while slots[slot] >= 0 and rows[slots[slot]] != row:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = p
        owner[p] = slots[slot]


def merge(owner: np.ndarray, start: int, stop: int, grads: np.ndarray) -> None:
    """Add the gradients of places that hold another place's row to that place's."""
    for p in range(start, stop):
        if owner[p] != p:
            first = owner[p]
            for d in range(grads.shape[1]):
                grads[first, d] += grads[p, d]


def update_table(
    table: Learned, rows: np.ndarray, owner: np.ndarray, start: int, stop: int, grads: np.ndarray, lr: np.float32
) -> np.float32:
    """One step of each row that a place owns; returns a number that is finite only if their gradients were."""
    squares = np.float32(0)
    for p in range(start, stop):
        if owner[p] == p:
            squares += update_row(table.values, table.sums, rows[p], grads[p], lr)
    return squares
