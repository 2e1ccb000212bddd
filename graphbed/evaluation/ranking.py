"""Ranks of true entities among all entities of their type, the same for any number of partitions."""

# Shapes: E edges, B queries of one batch, V candidates of one block, D dimension, M excluded (query, candidate) pairs.

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from graphbed.evaluation.edges import SplitEdges
from graphbed.evaluation.known import KnownEntities
from graphbed.evaluation.scoring import Side, TrainedModel

BATCH = 256
BLOCK_ROWS = 1 << 14
"""Candidates scored at a time: with BATCH queries, 32 MiB of products and 16 MiB of scores for each core."""
KEPT_ROWS = 1 << 16
"""Up to so many candidates the scores of a batch are kept, at most 64 MiB a core; of more they are computed twice."""

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
    kept_rows: int = KEPT_ROWS,
) -> NDArray[np.float64]:
    """The rank [E] of each edge's entity on the side `sought` among all entities of its type.

    rank = 1 + candidates that score higher + half of those that score the same. The true entity is no candidate, nor
    are the `known` ones (raw ranks: None). NaN scores lie below every number and equal one another. The true entity's
    score is read out of the same product as the others'.

    Products are float64 and rounded to float32 scores: otherwise the last bit of a score would depend on where in a
    matrix its row happens to lie, and equal rows would tie or not by the cut into partitions.
    """
    ranks = np.empty(len(edges), dtype=np.float64)
    batches = list(_batches(model, edges, sought))

    def work(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        return _rank_batch(model, _Batch.of(model, edges, chosen, sought, known), block_rows, kept_rows)

    with _one_thread_each() as pool:
        for chosen, result in zip(batches, pool.map(work, batches), strict=True):
            ranks[chosen] = result
            watch(len(chosen))
    return ranks


@contextmanager
def _one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """A thread for each core, each with a torch that uses no others.

    Threads inside an operation wait for one another by spinning: on a machine that has other work they cost four times
    the time of these.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Queries that share their candidates."""

    sought: Side
    relation: int
    """One of the batch's relations: all of them treat candidates alike."""
    queries: torch.Tensor
    """[B, D]"""
    truth: NDArray[np.int64]
    """[B] the true entity's id."""
    excluded_query: NDArray[np.int64]
    """[M]"""
    excluded_entity: NDArray[np.int64]
    """[M] the true entity of each query once, and the other known ones."""

    @classmethod
    def of(
        cls,
        model: TrainedModel,
        edges: SplitEdges,
        chosen: NDArray[np.int64],
        sought: Side,
        known: KnownEntities | None,
    ) -> "_Batch":
        relation = edges.relation[chosen]
        given, truth = (edges.lhs, edges.rhs) if sought == "rhs" else (edges.rhs, edges.lhs)
        given, truth = given[chosen], truth[chosen]
        query, entity = np.arange(len(chosen)), truth
        if known is not None:
            known_query, known_entity = known.look_up(relation, given)
            others = known_entity != truth[known_query]
            query = np.concatenate([query, known_query[others]])
            entity = np.concatenate([entity, known_entity[others]])
        return cls(
            sought=sought,
            relation=int(relation[0]),
            queries=model.queries(sought, relation, given),
            truth=truth,
            excluded_query=query,
            excluded_entity=entity,
        )


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


def _rank_batch(model: TrainedModel, batch: _Batch, block_rows: int, kept_rows: int) -> NDArray[np.float64]:
    """Scores one block at a time: first the true ones are picked out, then the others are compared with them."""
    entity_type = model.entity_type(batch.relation, batch.sought)
    pieces = list(blocks(model, entity_type, block_rows))

    def scored() -> Iterator[tuple[int, NDArray[np.float32]]]:
        for start, table in pieces:
            candidates = model.candidates(batch.sought, batch.relation, table)
            yield start, model.scores(batch.queries, candidates)

    # Memory does not grow with the graph: what is too large to keep is scored twice.
    keep = sum(len(table) for _, table in pieces) <= kept_rows
    first, second = ((kept := list(scored())), kept) if keep else (scored(), scored())
    true_B = np.empty(len(batch.truth), dtype=np.float32)
    for start, scores_BV in first:
        inside = np.flatnonzero((batch.truth >= start) & (batch.truth < start + scores_BV.shape[1]))
        true_B[inside] = scores_BV[inside, batch.truth[inside] - start]
    higher, equal = np.zeros(len(true_B), dtype=np.int64), np.zeros(len(true_B), dtype=np.int64)
    for start, scores_BV in second:
        more, same = _compare(scores_BV, true_B)
        stop = start + scores_BV.shape[1]
        inside = np.flatnonzero((batch.excluded_entity >= start) & (batch.excluded_entity < stop))
        query = batch.excluded_query[inside]
        excluded_M = scores_BV[query, batch.excluded_entity[inside] - start]
        higher += more - np.bincount(query[_higher(excluded_M, true_B[query])], minlength=len(true_B))
        equal += same - np.bincount(query[_equal(excluded_M, true_B[query])], minlength=len(true_B))
    return 1.0 + higher + equal / 2.0


def _compare(
    scores_BV: NDArray[np.float32], true_B: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of each row are higher than, and equal to, the row's true score."""
    higher = np.count_nonzero(scores_BV > true_B[:, None], axis=1)
    equal = np.count_nonzero(scores_BV == true_B[:, None], axis=1)
    for row in np.flatnonzero(np.isnan(true_B)):
        equal[row] = np.count_nonzero(np.isnan(scores_BV[row]))
        higher[row] = scores_BV.shape[1] - equal[row]
    return higher, equal


def _higher(scores: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (scores > true) | (np.isnan(true) & ~np.isnan(scores))
    return result


def _equal(scores: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (scores == true) | (np.isnan(true) & np.isnan(scores))
    return result
