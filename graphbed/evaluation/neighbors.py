"""The nearest entities of one, and the likeliest completions of an edge."""

# Shapes: V candidates of one block, D dimension.

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graphbed.config.choices import Comparator
from graphbed.evaluation.ranking import blocks
from graphbed.evaluation.scoring import Side, TrainedModel, as_double, comparable


def nearest(model: TrainedModel, entity_type: str, entity: int, k: int) -> list[tuple[int, float]]:
    """The `k` other entities of the type with the highest cosine to the raw embedding of `entity`: (id, cosine).

    Raw means before any operator, whatever comparator the job trains with.
    """
    query_1D = comparable(Comparator.COS, as_double(model.rows(entity_type, np.array([entity]))))

    def cosines(table: NDArray[np.float32]) -> NDArray[np.float32]:
        products = query_1D @ comparable(Comparator.COS, as_double(table)).T
        rounded: NDArray[np.float32] = products.float().numpy()
        return rounded

    found = _top(model, entity_type, k + 1, cosines)
    return [(candidate, score) for candidate, score in found if candidate != entity][:k]


def completions(model: TrainedModel, relation: int, sought: Side, given: int, k: int) -> list[tuple[int, float]]:
    """The `k` entities that score highest on the side `sought` of `relation`: (id, score as trained).

    Known edges are among them. Operators as in evaluation: see TrainedModel.queries.
    """
    query_1D = model.queries(sought, np.array([relation], dtype=np.int32), np.array([given]))
    return _top(
        model,
        model.entity_type(relation, sought),
        k,
        lambda table: model.scores(query_1D, model.candidates(sought, relation, table)),
    )


def _top(
    model: TrainedModel, entity_type: str, k: int, score: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> list[tuple[int, float]]:
    """The k highest scores among all entities of the type, highest first; NaN last, equal ones by id."""
    ids, scores = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    for start, table in blocks(model, entity_type):
        fresh = score(table)[0]
        ids = np.concatenate([ids, np.arange(start, start + len(fresh))])
        scores = np.concatenate([scores, fresh])
        best = np.lexsort((ids, -scores))[:k]  # NumPy sorts NaN last
        ids, scores = ids[best], scores[best]
    return [(int(entity), float(value)) for entity, value in zip(ids, scores, strict=True)]
