"""What both steps begin and end with: the rows of a chunk, its relations, the regularizer, the updates."""

import numpy as np

from graphbed.model.cpu.relation_update import update_elements, update_relations
from graphbed.model.cpu.rows import choose_rows, clear, find_owners, gather, merge, update_table
from graphbed.model.cpu.slots import add_parameter_regularizer, add_regularizer
from graphbed.model.cpu.workspace import Edges, Learned, Numbers, Side, Workspace

# Shapes: N edges of the chunk, K distinct relations of the chunk, D dimension.


def look_ahead(edges: Edges, lhs: Side, rhs: Side, numbers: Numbers, work: Workspace, key: np.uint64) -> None:
    """Draw the negatives of the next chunk: all its rows into `work.ahead`."""
    count, half = edges.weight.shape[0], work.ahead.shape[0] // 2
    lhs_stop, rhs_stop = count + numbers.lhs_drawn, half + count + numbers.rhs_drawn
    own_lhs, own_rhs = edges.lhs_rows, edges.rhs_rows
    choose_rows(own_lhs, own_rhs, lhs.ends, key, 0, lhs.table, numbers, work.ahead[:lhs_stop])
    choose_rows(own_rhs, own_lhs, rhs.ends, key, numbers.lhs_drawn, rhs.table, numbers, work.ahead[half:rhs_stop])


def begin_chunk(edges: Edges, lhs: Side, rhs: Side, numbers: Numbers, work: Workspace, same_table: int) -> None:
    """Gather all rows into `work.points`, find their owners."""
    count, half = edges.weight.shape[0], work.rows.shape[0] // 2
    lhs_stop, rhs_stop = count + numbers.lhs_drawn, half + count + numbers.rhs_drawn
    gather(lhs.table.values, work.rows[:lhs_stop], work.points[:lhs_stop])
    gather(rhs.table.values, work.rows[half:rhs_stop], work.points[half:rhs_stop])
    add_shared(lhs.shared.values, work.points[:lhs_stop])
    add_shared(rhs.shared.values, work.points[half:rhs_stop])
    clear(work.slots[0])
    find_owners(work.rows, 0, lhs_stop, work.slots[0], work.owner)
    if not same_table:
        clear(work.slots[1])
    find_owners(work.rows, half, rhs_stop, work.slots[0 if same_table else 1], work.owner)
    # A side that is not corrupted has no negatives; the other one counts its own.
    work.negatives[:] = 0


def add_shared(shared: np.ndarray, points: np.ndarray) -> None:
    """Add the global embedding `shared` [1, D] to all points; [0, D]: there is none."""
    if shared.shape[0] > 0:
        for p in range(points.shape[0]):
            for d in range(points.shape[1]):
                points[p, d] += shared[0, d]


def find_relations(relation_rows: np.ndarray, operator: Learned, work: Workspace) -> int:
    """Number the chunk's distinct relations in `work.local` and `work.distinct`; returns K, 0 without an operator.

    The first K rows of both halves of `work.value_grads` are zero then.
    """
    if operator.values.shape[0] == 0:
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
    edges: Edges,
    lhs: Side,
    rhs: Side,
    numbers: Numbers,
    work: Workspace,
    lhs_grads: np.ndarray,
    rhs_grads: np.ndarray,
) -> None:
    """Add the regularizer's gradient for both rows of each edge, once for each of its sides that has negatives."""
    most = work.distinct.shape[0]
    for i in range(edges.weight.shape[0]):
        sides = np.float32(int(work.negatives[i] > 0) + int(work.negatives[most + i] > 0))
        scale = numbers.regularization * edges.weight[i] * sides
        add_regularizer(lhs.table.values[edges.lhs_rows[i]], scale, lhs_grads[i])
        add_regularizer(rhs.table.values[edges.rhs_rows[i]], scale, rhs_grads[i])


def regularize_relations(
    relation_rows: np.ndarray,
    weight: np.ndarray,
    numbers: Numbers,
    work: Workspace,
    side: int,
    values: np.ndarray,
    value_grads: np.ndarray,
) -> None:
    """Add the regularizer's gradient for the operator of each edge that has negatives on `side` (0 lhs, 1 rhs)."""
    if values.shape[0] == 0:
        return
    half = side * work.distinct.shape[0]
    for i in range(weight.shape[0]):
        if work.negatives[half + i] > 0:
            scale = numbers.regularization * weight[i]
            add_parameter_regularizer(values[relation_rows[i]], scale, value_grads[work.local[i]])


def sum_shared(grads: np.ndarray, out: np.ndarray) -> None:
    """The gradient of a global embedding into `out` [D]: the sum of those of all points."""
    out[:] = np.float32(0)
    for p in range(grads.shape[0]):
        for d in range(grads.shape[1]):
            out[d] += grads[p, d]


def collect_shared(lhs: Side, lhs_grads: np.ndarray, rhs_grads: np.ndarray, work: Workspace) -> None:
    """The gradients of the global embeddings, before the regularizer's are added: they have none."""
    if lhs.shared.values.shape[0] > 0:
        sum_shared(lhs_grads, work.global_grads[0])
        sum_shared(rhs_grads, work.global_grads[1])


def update_shared(lhs: Side, rhs: Side, numbers: Numbers, work: Workspace, same_table: int) -> np.float32:
    """One Adagrad step of the global embeddings; returns a number that is finite only if their gradients were."""
    if lhs.shared.values.shape[0] == 0:
        return np.float32(0)
    if same_table:
        for d in range(work.global_grads.shape[1]):
            work.global_grads[0, d] += work.global_grads[1, d]
    squares = update_elements(lhs.shared.values, lhs.shared.sums, 0, work.global_grads[0], numbers.shared_lr)
    if not same_table:
        squares += update_elements(rhs.shared.values, rhs.shared.sums, 0, work.global_grads[1], numbers.shared_lr)
    return squares


def finish_chunk(
    lhs: Side, rhs: Side, numbers: Numbers, work: Workspace, same_table: int, relations: int, edges: int
) -> np.float32:
    """One step of each touched row, of the chunk's `relations` distinct relations, and of the global embeddings.

    Returns a number that is finite only if all gradients were.
    """
    half, most = work.rows.shape[0] // 2, work.distinct.shape[0]
    lhs_stop, rhs_stop = edges + numbers.lhs_drawn, half + edges + numbers.rhs_drawn
    squares = update_shared(lhs, rhs, numbers, work, same_table)
    merge(work.owner, 0, lhs_stop, work.grads)
    merge(work.owner, half, rhs_stop, work.grads)
    squares += update_table(lhs.table, work.rows, work.owner, 0, lhs_stop, work.grads, numbers)
    squares += update_table(rhs.table, work.rows, work.owner, half, rhs_stop, work.grads, numbers)
    distinct = work.distinct[:relations]
    if lhs.operator.values.shape[0] > 0:
        squares += update_relations(
            lhs.operator.values, lhs.operator.sums, distinct, work.value_grads[:relations], numbers.relation_lr
        )
    if rhs.operator.values.shape[0] > 0:
        squares += update_relations(
            rhs.operator.values,
            rhs.operator.sums,
            distinct,
            work.value_grads[most : most + relations],
            numbers.relation_lr,
        )
    return squares
