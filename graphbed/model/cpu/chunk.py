"""What both steps begin and end with: the rows of a chunk, its relations, the regularizer, the updates."""

import numpy as np

from graphbed.model.cpu.relation_update import update_relations
from graphbed.model.cpu.rows import choose_rows, clear, find_owners, gather, merge, update_table
from graphbed.model.cpu.slots import add_regularizer
from graphbed.model.cpu.workspace import Learned, Numbers, Workspace

# Shapes: N edges of the chunk, K distinct relations of the chunk, D dimension.


def begin_chunk(
    lhs_rows: np.ndarray,
    rhs_rows: np.ndarray,
    lhs: Learned,
    rhs: Learned,
    numbers: Numbers,
    work: Workspace,
    same_table: int,
    key: np.uint64,
) -> None:
    """Draw the negatives, gather all rows into `work.points`, find their owners."""
    edges, half = lhs_rows.shape[0], work.rows.shape[0] // 2
    lhs_stop, rhs_stop = edges + numbers.lhs_uniform, half + edges + numbers.rhs_uniform
    choose_rows(lhs_rows, key, 0, lhs.values.shape[0], work.rows[:lhs_stop])
    choose_rows(rhs_rows, key, numbers.lhs_uniform, rhs.values.shape[0], work.rows[half:rhs_stop])
    gather(lhs.values, work.rows[:lhs_stop], work.points[:lhs_stop])
    gather(rhs.values, work.rows[half:rhs_stop], work.points[half:rhs_stop])
    clear(work.slots)
    find_owners(work.rows, 0, lhs_stop, work.slots, work.owner)
    if not same_table:
        clear(work.slots)
    find_owners(work.rows, half, rhs_stop, work.slots, work.owner)
    # A side that is not corrupted has no negatives; the other one counts its own.
    work.negatives[:] = 0


def find_relations(relation_rows: np.ndarray, rhs_values: Learned, work: Workspace) -> int:
    """Number the chunk's distinct relations in `work.local` and `work.distinct`; returns K, 0 without an operator.

    The first K rows of both halves of `work.value_grads` are zero then.
    """
    if rhs_values.values.shape[0] == 0:
        return 0
    slot, count = work.relation_slot, 0
    for i in range(relation_rows.shape[0]):
        relation = relation_rows[i]
        if slot[relation] < 0:
            slot[relation] = count
            work.distinct[count] = relation
            count += 1
        work.local[i] = slot[relation]
    for k in range(count):
        slot[work.distinct[k]] = -1
    most = work.distinct.shape[0]
    work.value_grads[:count] = np.float32(0)
    work.value_grads[most : most + count] = np.float32(0)
    return count


def add_rows(rows: np.ndarray, out: np.ndarray) -> None:
    """out[i] += rows[i]."""
    for i in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            out[i, d] += rows[i, d]


def regularize_entities(
    weight: np.ndarray,
    numbers: Numbers,
    work: Workspace,
    lhs_points: np.ndarray,
    rhs_points: np.ndarray,
    lhs_grads: np.ndarray,
    rhs_grads: np.ndarray,
) -> None:
    """Add N3's gradient for both entities of each edge, once for each of its sides that has negatives."""
    most = work.distinct.shape[0]
    for i in range(weight.shape[0]):
        sides = np.float32(int(work.negatives[i] > 0) + int(work.negatives[most + i] > 0))
        scale = numbers.regularization * weight[i] * sides
        add_regularizer(lhs_points[i], scale, lhs_grads[i])
        add_regularizer(rhs_points[i], scale, rhs_grads[i])


def regularize_relations(
    relation_rows: np.ndarray,
    weight: np.ndarray,
    numbers: Numbers,
    work: Workspace,
    side: int,
    values: np.ndarray,
    value_grads: np.ndarray,
) -> None:
    """Add N3's gradient for the operator parameters of each edge that has negatives on `side` (0 lhs, 1 rhs)."""
    if values.shape[0] == 0:
        return
    half = side * work.distinct.shape[0]
    for i in range(weight.shape[0]):
        if work.negatives[half + i] > 0:
            scale = numbers.regularization * weight[i]
            add_regularizer(values[relation_rows[i]], scale, value_grads[work.local[i]])


def finish_chunk(
    lhs: Learned,
    rhs: Learned,
    lhs_values: Learned,
    rhs_values: Learned,
    numbers: Numbers,
    work: Workspace,
    relations: int,
    edges: int,
) -> np.float32:
    """One Adagrad step of each touched row and of the chunk's `relations` distinct relations.

    Returns a number that is finite only if all gradients were.
    """
    half, most = work.rows.shape[0] // 2, work.distinct.shape[0]
    lhs_stop, rhs_stop = edges + numbers.lhs_uniform, half + edges + numbers.rhs_uniform
    merge(work.owner, 0, lhs_stop, work.grads)
    merge(work.owner, half, rhs_stop, work.grads)
    squares = update_table(lhs, work.rows, work.owner, 0, lhs_stop, work.grads, numbers.lr)
    squares += update_table(rhs, work.rows, work.owner, half, rhs_stop, work.grads, numbers.lr)
    distinct = work.distinct[:relations]
    if lhs_values.values.shape[0] > 0:
        squares += update_relations(
            lhs_values.values, lhs_values.sums, distinct, work.value_grads[:relations], numbers.relation_lr
        )
    if rhs_values.values.shape[0] > 0:
        squares += update_relations(
            rhs_values.values, rhs_values.sums, distinct, work.value_grads[most : most + relations], numbers.relation_lr
        )
    return squares
