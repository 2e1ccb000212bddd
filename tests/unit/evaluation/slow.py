"""Ranks computed one pair at a time in plain Python: slow, obvious, and sharing nothing with what it judges."""

import math
from collections.abc import Sequence

from graphbed.config.choices import Comparator, Operator
from graphbed.evaluation.edges import SplitEdges
from graphbed.evaluation.scoring import TrainedModel

Vector = Sequence[float]


def slow_ranks(model: TrainedModel, edges: SplitEdges, sought: str, known: SplitEdges | None) -> list[float]:
    """The rank of every edge's entity on the side `sought`, filtered by `known` edges if there are any."""
    tables = {kind: [row for part in parts for row in part.tolist()] for kind, parts in model.tables.items()}
    true_edges = set() if known is None else set(_triples(known))
    ranks = []
    for lhs, relation, rhs in _triples(edges):
        entry = model.groups.entries[int(model.groups.group[relation])]
        kind = entry.lhs if sought == "lhs" else entry.rhs
        scores = []
        for candidate in range(len(tables[kind])):
            left = tables[entry.lhs][candidate if sought == "lhs" else lhs]
            right = tables[entry.rhs][candidate if sought == "rhs" else rhs]
            scores.append(_score(model, relation, sought, left, right))
        truth = lhs if sought == "lhs" else rhs
        rank = 1.0
        for candidate, score in enumerate(scores):
            edge = (candidate, relation, rhs) if sought == "lhs" else (lhs, relation, candidate)
            if candidate == truth or edge in true_edges:
                continue
            if math.isclose(score, scores[truth], rel_tol=1e-5, abs_tol=1e-6):
                rank += 0.5
            elif score > scores[truth]:
                rank += 1
        ranks.append(rank)
    return ranks


def _triples(edges: SplitEdges) -> list[tuple[int, int, int]]:
    return list(zip(edges.lhs.tolist(), edges.relation.tolist(), edges.rhs.tolist(), strict=True))


def _score(model: TrainedModel, relation: int, sought: str, left: Vector, right: Vector) -> float:
    group, row = int(model.groups.group[relation]), int(model.groups.row[relation])
    entry = model.groups.entries[group]

    def operate(vector: Vector, side: str) -> Vector:
        if entry.operator is Operator.NONE:
            return vector
        values = model.parameters[f"relations/{group}/{side}/values"][row].tolist()
        if entry.operator is Operator.TRANSLATION:
            return [x + v for x, v in zip(vector, values, strict=True)]
        if entry.operator is Operator.DIAGONAL:
            return [x * v for x, v in zip(vector, values, strict=True)]
        if entry.operator in (Operator.LINEAR, Operator.AFFINE):
            size = len(vector)
            rows = [values[i * size : (i + 1) * size] for i in range(size)]
            offsets = values[size * size :] or [0.0] * size
            return [sum(a * x for a, x in zip(r, vector, strict=True)) + o for r, o in zip(rows, offsets, strict=True)]
        if entry.operator is Operator.ROTATION:
            values = [math.cos(angle) for angle in values] + [math.sin(angle) for angle in values]
        half = len(vector) // 2
        products = [complex(vector[i], vector[half + i]) * complex(values[i], values[half + i]) for i in range(half)]
        return [p.real for p in products] + [p.imag for p in products]

    if entry.reciprocal and sought == "rhs":
        left = operate(left, "rhs")
    elif entry.reciprocal:
        right = operate(right, "lhs")
    else:
        right = operate(right, "rhs")
    if not model.bias:
        return _compare(model.comparator, left, right)
    return left[0] + right[0] + _compare(model.comparator, left[1:], right[1:])


def _compare(comparator: Comparator, left: Vector, right: Vector) -> float:
    gaps = [a - b for a, b in zip(left, right, strict=True)]
    half = len(gaps) // 2
    if comparator is Comparator.L1:
        return -sum(map(abs, gaps))
    if comparator is Comparator.COMPLEX_L1:
        return -sum(abs(complex(gaps[i], gaps[half + i])) for i in range(half))
    if comparator in (Comparator.L2, Comparator.SQUARED_L2):
        square = sum(gap * gap for gap in gaps)
        return -square if comparator is Comparator.SQUARED_L2 else -math.sqrt(square)
    product = sum(a * b for a, b in zip(left, right, strict=True))
    if comparator is Comparator.COS:
        product /= math.sqrt(sum(a * a for a in left)) * math.sqrt(sum(b * b for b in right))
    return product
