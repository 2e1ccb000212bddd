"""Ranks of true entities among all entities of their type, the same for any number of partitions."""

# Shapes: E edges, B queries of one batch, V candidates of one block, D dimension.

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from graphbed.evaluation import estimates
from graphbed.evaluation.counting import TILE_CANDIDATES, TILE_QUERIES, Truths, count, tile_counter
from graphbed.evaluation.edges import SplitEdges
from graphbed.evaluation.exact import exact_scores
from graphbed.evaluation.known import KnownEntities
from graphbed.evaluation.scoring import Side, TrainedModel
from graphbed.model.threads import single_threaded_blas

BATCH = 512
"""Queries that a thread ranks at a time."""
BLOCK_ROWS = 1 << 12
"""Candidates that a thread prepares at a time: what an operator makes of them is still in the cache when it is used."""

Watch = Callable[[int], None]
"""Told how many more ranks are done."""


def rank(
    model: TrainedModel,
    edges: SplitEdges,
    sought: Side,
    known: KnownEntities | None,
    watch: Watch,
    *,
    block_rows: int = BLOCK_ROWS,
) -> NDArray[np.float64]:
    """The rank [E] of each edge's entity on the side `sought` among all entities of its type.

    rank = 1 + candidates that score higher + half of those that score the same. The true entity is no candidate, nor
    are the `known` ones (raw ranks: None). NaN scores lie below every number and equal one another.

    Ranks are those of scores computed in float64 and rounded to float32. Most candidates are placed by a float32
    estimate that is far enough from the true score; the others' scores are computed. Memory does not grow with the
    graph beyond its tables.
    """
    ranks = np.empty(len(edges), dtype=np.float64)
    batches = list(_batches(model, edges, sought))
    own = threading.local()
    # Threads that asked for these at the same moment would each compile their own.
    for compiled in (exact_scores, tile_counter):
        compiled(model.comparator, int(model.bias))

    def work(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        if not hasattr(own, "estimates"):
            own.estimates = np.empty(TILE_QUERIES * TILE_CANDIDATES, np.float32)
        return _rank_batch(model, edges, chosen, sought, known, block_rows, own.estimates)

    with _one_thread_each() as pool:
        for chosen, result in zip(batches, pool.map(work, batches), strict=True):
            ranks[chosen] = result
            watch(len(chosen))
    return ranks


@contextmanager
def _one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """A thread for each core, each with a BLAS and a torch that use no others.

    Threads inside an operation wait for one another by spinning: on a machine that has other work they cost four times
    the time of these.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), initializer=torch.set_num_threads, initargs=(1,))
    try:
        with single_threaded_blas():
            yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _batches(model: TrainedModel, edges: SplitEdges, sought: Side) -> Iterator[NDArray[np.int64]]:
    """Indices of edges in batches that share their candidates: one group, or one relation if it changes candidates."""
    relations = np.unique(edges.relation)
    share = {}
    for relation in relations:
        group = int(model.groups.group[relation])
        share[relation] = (group, int(relation) if model.changes_candidates(relation, sought) else -1)
    place = {key: number for number, key in enumerate(sorted(set(share.values())))}
    keys = np.array([place[share[relation]] for relation in relations])[np.searchsorted(relations, edges.relation)]
    order = np.lexsort((edges.relation, keys))
    for number in range(len(place)):
        start, stop = np.searchsorted(keys[order], [number, number + 1])
        for first in range(start, stop, BATCH):
            yield order[first : min(first + BATCH, stop)]


def blocks(
    model: TrainedModel, entity_type: str, block_rows: int = BLOCK_ROWS
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The table of a type in pieces of one partition each: the id of the first row, and the rows [V, D]."""
    base = 0
    for table in model.tables[entity_type]:
        for start in range(0, len(table), block_rows):
            yield base + start, table[start : start + block_rows]
        base += len(table)


def _rank_batch(
    model: TrainedModel,
    edges: SplitEdges,
    chosen: NDArray[np.int64],
    sought: Side,
    known: KnownEntities | None,
    block_rows: int,
    scratch: NDArray[np.float32],
) -> NDArray[np.float64]:
    """The ranks [B] of the edges `chosen`, which share their candidates."""
    relations = edges.relation[chosen]
    given, entity = (edges.lhs, edges.rhs) if sought == "rhs" else (edges.rhs, edges.lhs)
    given, entity = given[chosen], entity[chosen]
    comparator, first = model.comparator, int(model.bias)
    relation = int(relations[0])  # all of them treat candidates alike
    entity_type = model.entity_type(relation, sought)

    def prepared(rows: NDArray[np.float32]) -> estimates.Candidates:
        return estimates.candidates(comparator, model.operated(sought, relation, rows), first)

    queries = estimates.queries(comparator, model.queries(sought, relations, given).numpy(), first)
    true = prepared(model.rows(entity_type, entity))
    truths = Truths.create(
        entity,
        exact_scores(comparator, first)(queries.exact, true.exact, true.scales),
        *((np.empty(0, np.int64),) * 2 if known is None else known.look_up(relations, given)),
    )
    for start, table in blocks(model, entity_type, block_rows):
        count(comparator, queries, prepared(table), truths, start=start, first=first, estimates=scratch)
    return truths.ranks
