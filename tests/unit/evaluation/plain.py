"""Ranks by float64 scores of all pairs, rounded to float32: nothing is estimated."""

# Shapes: V entities of a type, D dimension.

import numpy as np
from numpy.typing import NDArray

from graphbed.config.choices import Comparator
from graphbed.evaluation.edges import SplitEdges
from graphbed.evaluation.scoring import Side, TrainedModel


def plain_ranks(model: TrainedModel, edges: SplitEdges, sought: Side, known: SplitEdges | None) -> list[float]:
    """The rank of each edge's entity on the side `sought`, filtered by `known` edges if there are any."""
    given, entity = (edges.lhs, edges.rhs) if sought == "rhs" else (edges.rhs, edges.lhs)
    ranks = []
    for place, relation in enumerate(edges.relation):
        query = model.queries(sought, edges.relation[place : place + 1], given[place : place + 1]).numpy()[0]
        table = np.concatenate(model.tables[model.entity_type(relation, sought)])
        candidates = model.operated(sought, relation, table).astype(np.float64)
        scores = plain_scores(model.comparator, int(model.bias), query, candidates)
        truth = scores[entity[place]]
        others = np.ones(len(scores), np.bool_)
        others[entity[place]] = False
        if known is not None:
            ends, missing = (known.lhs, known.rhs) if sought == "rhs" else (known.rhs, known.lhs)
            others[missing[(known.relation == relation) & (ends == given[place])]] = False
        numbers = others & ~np.isnan(scores)
        higher = numbers.sum() if np.isnan(truth) else (numbers & (scores > truth)).sum()
        equal = (others & np.isnan(scores)).sum() if np.isnan(truth) else (others & (scores == truth)).sum()
        ranks.append(1.0 + higher + equal / 2.0)
    return ranks


def plain_scores(
    comparator: Comparator, first: int, query: NDArray[np.float64], candidates_VD: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The scores [V] of one query, as TrainedModel makes it, with all candidates; sums go through D in order."""
    with np.errstate(all="ignore"):
        bias = query[0] + candidates_VD[:, 0] if first else 0.0
        q, c = query[first:], candidates_VD[:, first:].T
        half = len(q) // 2
        gaps = q[:, None] - c
        match comparator:
            case Comparator.DOT:
                scores = np.cumsum(q[:, None] * c, axis=0)[-1]
            case Comparator.COS:
                scores = np.cumsum(q[:, None] * c, axis=0)[-1] / np.sqrt((c * c).sum(axis=0) + 1e-12)
            case Comparator.L2:
                scores = -np.sqrt(np.cumsum(gaps * gaps, axis=0)[-1] + 1e-12)
            case Comparator.SQUARED_L2:
                scores = -np.cumsum(gaps * gaps, axis=0)[-1]
            case Comparator.L1:
                scores = -np.cumsum(abs(gaps), axis=0)[-1]
            case Comparator.COMPLEX_L1:
                scores = -np.cumsum(np.sqrt(gaps[:half] ** 2 + gaps[half:] ** 2 + 1e-12), axis=0)[-1]
        rounded: NDArray[np.float32] = (scores + bias).astype(np.float32)
    return rounded
