"""Known edges, found by what a query gives: the relation and one entity."""

# Shapes: E edges, K different (relation, given entity) pairs, B queries, M matches of all of them.

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from graphbed.evaluation.edges import SplitEdges
from graphbed.evaluation.scoring import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntities:
    """For each (relation, given entity): the entities that complete a known edge. 8 bytes an edge, 16 a pair."""

    stride: int
    """Above every given entity's id; a pair's key is relation · stride + entity."""
    keys: NDArray[np.int64]
    """[K] ascending."""
    starts: NDArray[np.int64]
    """[K+1] where each key's entities begin in `entities`."""
    entities: NDArray[np.int64]
    """[≤ E] ascending for each key, none twice."""

    @classmethod
    def build(cls, edges: SplitEdges, sought: Side) -> Self:
        """Index `edges` for queries in which the side `sought` is missing."""
        given, missing = (edges.lhs, edges.rhs) if sought == "rhs" else (edges.rhs, edges.lhs)
        stride = int(given.max(initial=-1)) + 1
        key = edges.relation.astype(np.int64) * stride + given
        order = np.lexsort((missing, key))
        key, missing = key[order], missing[order]
        fresh = np.ones(len(key), dtype=np.bool_)
        fresh[1:] = (key[1:] != key[:-1]) | (missing[1:] != missing[:-1])
        keys, starts = np.unique(key[fresh], return_index=True)
        return cls(stride=stride, keys=keys, starts=np.append(starts, fresh.sum()), entities=missing[fresh])

    def look_up(
        self, relation: NDArray[np.int32], given: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which query [M] each match belongs to, and its entity [M]; queries without a match do not occur."""
        wanted = relation.astype(np.int64) * self.stride + given
        place = np.searchsorted(self.keys, wanted)
        found = (given < self.stride) & (place < len(self.keys))
        found[found] = self.keys[place[found]] == wanted[found]
        query, place = np.flatnonzero(found), place[found]
        counts = self.starts[place + 1] - self.starts[place]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(query, counts), self.entities[np.repeat(self.starts[place], counts) + within]
