"""Known edges: for each edge and side, the rows that are no negatives because they make another known edge."""

import numpy as np

from graphbed.graph.edges import EdgeArrays
from graphbed.model.kernel import KnownEdges, KnownRows

# Shapes: E edges, C chunks, K known rows.


def known_edges(edges: EdgeArrays, chunk_starts: np.ndarray | None) -> KnownEdges:
    """The rows that make an edge of `edges` with an edge's other entity and relation.

    With `chunk_starts` [C + 1] only edges of the same chunk count. Lists are sorted by row and name no row twice.
    """
    if chunk_starts is None:
        scope = np.zeros(len(edges.lhs), np.int64)
    else:
        scope = np.repeat(np.arange(len(chunk_starts) - 1), np.diff(chunk_starts))
    return KnownEdges(
        lhs=_known_rows(scope, edges.relation, edges.rhs, edges.lhs),
        rhs=_known_rows(scope, edges.relation, edges.lhs, edges.rhs),
    )


def _known_rows(scope: np.ndarray, relation: np.ndarray, given: np.ndarray, sought: np.ndarray) -> KnownRows:
    order = np.lexsort((sought, given, relation, scope))
    keys = np.stack([scope[order], relation[order], given[order]])
    rows = sought[order].astype(np.int64)
    new_key = np.ones(len(order), bool)
    new_key[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    kept = new_key.copy()
    kept[1:] |= rows[1:] != rows[:-1]
    # Places of the kept rows where each key's list begins; the next list's beginning is its end.
    places = np.cumsum(kept) - kept
    starts = places[new_key]
    ends = np.append(starts[1:], np.int64(kept.sum()))
    key_of = np.cumsum(new_key) - 1
    first, stop = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    first[order], stop[order] = starts[key_of], ends[key_of]
    return KnownRows(first=first, stop=stop, rows=np.ascontiguousarray(rows[kept]))
