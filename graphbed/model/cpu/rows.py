"""Rows of a chunk: gathering them, finding those that occur twice, adding their gradients up, writing them back."""

import numpy as np

from graphbed.model.cpu.intrinsics import prefetch
from graphbed.model.cpu.random import draw_rows
from graphbed.model.cpu.slots import update_row
from graphbed.model.cpu.workspace import Learned, Numbers

# Shapes: P places (entities of a chunk), V rows of a table, D dimension.

HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
HASH_SHIFT = np.uint64(32)

LINE = 16
"""Numbers in a cache line."""


def choose_rows(
    own: np.ndarray,
    other: np.ndarray,
    ends: np.ndarray,
    key: np.uint64,
    first: int,
    table: Learned,
    numbers: Numbers,
    rows: np.ndarray,
) -> None:
    """The entities of one side into `rows`: `own`, then the drawn negatives.

    Those are every trainable row, or numbers first, first + 1, … of `key`: rows of random edges (`ends` holds those of
    all edges), read-only rows if there are any, and trainable rows, the first of them replaced by `other`, the chunk's
    entities of the other side, if those are asked for.
    """
    edges = own.shape[0]
    for i in range(edges):
        rows[i] = own[i]
    drawn = rows[edges:]
    if numbers.every:
        for k in range(drawn.shape[0]):
            drawn[k] = k
        return
    if drawn.shape[0] == 0:
        return
    degree, read_only = numbers.degree, table.values.shape[0] - table.trainable
    remote = numbers.remote if read_only else 0
    draw_rows(key, first, ends.shape[0], drawn[:degree])
    for k in range(degree):
        drawn[k] = ends[drawn[k]]
    if remote:
        draw_rows(key, first + degree, read_only, drawn[degree : degree + remote])
        for k in range(degree, degree + remote):
            drawn[k] += table.trainable
    draw_rows(key, first + degree + remote, table.trainable, drawn[degree + remote :])
    if numbers.other_side:
        for i in range(edges):
            drawn[degree + remote + i] = other[i]


def gather(table: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """table[rows] into `out` [P, D]."""
    for p in range(rows.shape[0]):
        row = rows[p]
        for d in range(out.shape[1]):
            out[p, d] = table[row, d]


def prefetch_row(array: np.ndarray, row: int) -> None:
    """Ask for all cache lines of array[row]."""
    for d in range(0, array.shape[1], LINE):
        prefetch(array, row, d)
    prefetch(array, row, array.shape[1] - 1)


def prefetch_part(table: Learned, rows: np.ndarray, part: int, parts: int) -> None:
    """Ask for what an update needs of number `part` of `parts` equal parts of `rows`."""
    for p in range(part * rows.shape[0] // parts, (part + 1) * rows.shape[0] // parts):
        prefetch_row(table.values, rows[p])
        prefetch_row(table.sums, rows[p])


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


def find_owner(row: int, rows: np.ndarray, slots: np.ndarray) -> int:
    """The first place that holds `row`, by the hash table `slots` of `find_owners`; -1 = none does."""
    mask = slots.shape[0] - 1
    slot = np.int64((np.uint64(row) * HASH_MULTIPLIER) >> HASH_SHIFT) & mask
    while slots[slot] >= 0 and rows[slots[slot]] != row:
        slot = (slot + 1) & mask
    return int(slots[slot])


def merge(owner: np.ndarray, start: int, stop: int, grads: np.ndarray) -> None:
    """Add the gradients of places that hold another place's row to that place's."""
    for p in range(start, stop):
        if owner[p] != p:
            first = owner[p]
            for d in range(grads.shape[1]):
                grads[first, d] += grads[p, d]


def shorten(vector: np.ndarray, longest: np.float32) -> None:
    """Scale `vector` [D] to the length `longest` if it is longer."""
    squares = np.float32(0)
    for d in range(vector.shape[0]):
        squares += vector[d] * vector[d]
    if squares > longest * longest:
        scale = longest / np.sqrt(squares)
        for d in range(vector.shape[0]):
            vector[d] *= scale


def update_table(
    table: Learned, rows: np.ndarray, owner: np.ndarray, start: int, stop: int, grads: np.ndarray, numbers: Numbers
) -> np.float32:
    """One step of each trainable row that a place owns; returns a number that is finite if their gradients were."""
    squares = np.float32(0)
    for p in range(start, stop):
        if owner[p] == p and rows[p] < table.trainable:
            moved = update_row(table.values, table.sums, rows[p], grads[p], numbers.lr)
            squares += moved
            if numbers.max_norm > np.float32(0) and moved != np.float32(0):
                shorten(table.values[rows[p]], numbers.max_norm)
    return squares
