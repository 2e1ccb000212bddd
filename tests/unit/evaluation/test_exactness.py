"""Estimates in float32, ranks of float64: exact ties, zero vectors, huge and tiny ones, neighbours by one bit."""

# Shapes: B queries, V candidates, D dimension.

import numpy as np
import pytest
from numpy.typing import NDArray

from graphbed.config.choices import Comparator, Operator
from graphbed.config.job import EntityConfig, JobConfig, RelationConfig
from graphbed.evaluation import estimates
from graphbed.evaluation.counting import STRIP, TILE_CANDIDATES, TILE_QUERIES
from graphbed.evaluation.edges import SplitEdges
from graphbed.evaluation.exact import exact_scores
from graphbed.evaluation.known import KnownEntities
from graphbed.evaluation.ranking import BATCH, rank
from graphbed.evaluation.scoring import SIDES, TrainedModel
from graphbed.graph.schema import RelationEntry
from graphbed.model.parameters import initial_parameters
from graphbed.model.relations import RelationGroups
from tests.unit.evaluation.models import schema
from tests.unit.evaluation.plain import plain_ranks, plain_scores

RELATIONS = 3


def planted(rows: int, dimension: int, seed: int) -> NDArray[np.float32]:
    """Random vectors of many lengths, and among them: twins, multiples, zeros, huge and tiny ones, one bit apart."""
    generator = np.random.default_rng(seed)
    table = generator.standard_normal((rows, dimension)).astype(np.float32)
    table *= (10.0 ** generator.uniform(-2, 1, (rows, 1))).astype(np.float32)
    table[10:20] = table[0]
    table[20:30] = 2 * table[1]
    table[30:36] = 0
    table[36], table[37] = 1e30 * table[2], -1e25 * table[3]
    table[38] = 1e-30 * table[2]
    for row in range(40, 50):
        table[row] = table[4]
        table[row, row % dimension] = np.nextafter(table[4, row % dimension], np.float32(np.inf))
    table[50:53, -1] = np.inf, np.nan, -np.inf
    return table[generator.permutation(rows)]


def planted_model(
    operator: Operator, comparator: Comparator, *, reciprocal: bool, bias: bool, cuts: list[int], dimension: int
) -> TrainedModel:
    """One entity type whose partitions have `cuts` rows, three relations, the second of which changes nothing."""
    config = JobConfig(
        job="j",
        graph="g",
        entities={"node": EntityConfig(num_partitions=len(cuts))},
        relations=[RelationConfig(name="*", lhs="node", rhs="node", operator=operator, reciprocal=reciprocal)],
        dimension=dimension,
        comparator=comparator,
        bias=bias,
    )
    graph = schema([RelationEntry(name=f"{r}", lhs="node", rhs="node") for r in range(RELATIONS)], {"node": cuts})
    generator = np.random.default_rng(1)
    parameters = {
        # The initial parameters of every operator are those that change nothing.
        name: np.where(np.arange(len(values))[:, None] == 1, values, generator.standard_normal(values.shape))
        for name, values in initial_parameters(config, RelationGroups.from_schema(config, graph)).items()
    }
    table = planted(sum(cuts), dimension, seed=2)
    return TrainedModel.build(
        config,
        graph,
        {"node": np.split(table, np.cumsum(cuts)[:-1])},
        {name: values.astype(np.float32) for name, values in parameters.items()},
    )


def random_edges(nodes: int, count: int, seed: int) -> SplitEdges:
    generator = np.random.default_rng(seed)
    lhs, rhs = generator.integers(0, nodes, (2, count))
    return SplitEdges(lhs=lhs, relation=generator.integers(0, RELATIONS, count).astype(np.int32), rhs=rhs)


def require_plain_ranks(model: TrainedModel, count: int) -> None:
    nodes = model.size("node")
    edges, known = random_edges(nodes, count, 3), random_edges(nodes, 40 * count, 4)
    for sought in SIDES:
        index = KnownEntities.build(known, sought)
        assert rank(model, edges, sought, None, lambda _: None).tolist() == plain_ranks(model, edges, sought, None)
        filtered = rank(model, edges, sought, index, lambda _: None)
        assert filtered.tolist() == plain_ranks(model, edges, sought, known)


@pytest.mark.parametrize("comparator", list(Comparator))
@pytest.mark.parametrize("operator", list(Operator))
@pytest.mark.parametrize("reciprocal", [False, True])
def test_ranks_are_those_of_float64(operator: Operator, comparator: Comparator, reciprocal: bool):
    model = planted_model(operator, comparator, reciprocal=reciprocal, bias=False, cuts=[90, 30], dimension=12)
    require_plain_ranks(model, 60)


@pytest.mark.parametrize("comparator", list(Comparator))
def test_ranks_with_a_bias_are_those_of_float64(comparator: Comparator):
    model = planted_model(Operator.NONE, comparator, reciprocal=False, bias=True, cuts=[70, 50], dimension=13)
    require_plain_ranks(model, 100)


@pytest.mark.parametrize("comparator", [Comparator.DOT, Comparator.L2, Comparator.L1])
def test_ranks_over_several_tiles_and_batches_are_those_of_float64(comparator: Comparator):
    cuts = [TILE_CANDIDATES + STRIP + 3, 1, TILE_CANDIDATES // 2]
    model = planted_model(Operator.TRANSLATION, comparator, reciprocal=True, bias=False, cuts=cuts, dimension=4)
    require_plain_ranks(model, BATCH + TILE_QUERIES + 5)


def test_twins_of_the_true_entity_tie_in_every_partition():
    model = planted_model(Operator.NONE, Comparator.COS, reciprocal=False, bias=False, cuts=[60, 60, 60], dimension=400)
    _, twin_of, count = np.unique(np.concatenate(model.tables["node"]), axis=0, return_inverse=True, return_counts=True)
    assert count.max() == 11
    twins = np.flatnonzero(twin_of == count.argmax())
    nothing = np.zeros(len(twins), np.int32)
    edges = SplitEdges(lhs=np.full(len(twins), 7), relation=nothing, rhs=twins)
    assert len(set(rank(model, edges, "rhs", None, lambda _: None).tolist())) == 1


@pytest.mark.parametrize("kind", ["normal", "positive", "cancelling", "lengths"])
@pytest.mark.parametrize("comparator", list(Comparator))
@pytest.mark.parametrize("first", [0, 1])
def test_no_estimate_is_farther_off_than_its_bound(comparator: Comparator, kind: str, first: int):
    generator = np.random.default_rng(5)
    dimension = 400 + first
    queries, candidates = generator.standard_normal((2, 50, dimension))
    if kind == "positive":
        queries, candidates = abs(queries), abs(candidates)
    if kind == "cancelling":
        candidates = queries + 1e-3 * candidates
        candidates[:, ::2] *= np.where(comparator in (Comparator.DOT, Comparator.COS), -1.0, 1.0)
    if kind == "lengths":
        candidates *= 10.0 ** generator.uniform(-12, 12, (50, 1))
        queries *= 10.0 ** generator.uniform(-12, 12, (50, 1))
    if comparator is Comparator.COS:
        queries[:, first:] /= np.linalg.norm(queries[:, first:], axis=1, keepdims=True)
    rows = candidates.astype(np.float32)
    asking, of_tile = estimates.queries(comparator, queries, first), estimates.candidates(comparator, rows, first)
    combined = np.empty((50, 50), np.float32)
    estimates.COMBINE[comparator](asking.vectors, of_tile.vectors, combined)
    estimate = estimates.ESTIMATES[comparator]
    for i in range(50):
        exact = plain_scores(comparator, first, queries[i], rows.astype(np.float64))
        for j in range(50):
            score, off = estimate(
                combined[i, j], asking.sizes[i], asking.squares[i], of_tile.sizes[j], of_tile.squares[j]
            )
            score += asking.biases[i] + of_tile.biases[j]
            rest = abs(asking.biases[i]) + abs(of_tile.biases[j]) + abs(exact[j])
            assert abs(float(score) - float(exact[j])) <= off + 4 * estimates.ROUNDING * rest + estimates.LEAST_BOUND


@pytest.mark.parametrize("comparator", list(Comparator))
def test_estimates_decide_about_nearly_all_candidates(comparator: Comparator):
    generator = np.random.default_rng(6)
    queries, rows = generator.standard_normal((20, 400)), generator.standard_normal((500, 400)).astype(np.float32)
    asking, of_tile = estimates.queries(comparator, queries, 0), estimates.candidates(comparator, rows, 0)
    scores = np.array([plain_scores(comparator, 0, query, rows.astype(np.float64)) for query in queries])
    sizes = asking.sizes[:, None], asking.squares[:, None], of_tile.sizes[None], of_tile.squares[None]
    combined = np.empty((20, 500), np.float32)
    estimates.COMBINE[comparator](asking.vectors, of_tile.vectors, combined)
    _, off = np.vectorize(estimates.ESTIMATES[comparator])(combined, *sizes)
    # Against the median of each query's scores, where they lie closest.
    undecided = abs(scores - np.median(scores, axis=1, keepdims=True)) <= off
    assert undecided.mean() < 0.005


def test_equal_vectors_have_equal_exact_scores_wherever_they_lie():
    generator = np.random.default_rng(7)
    row = generator.standard_normal(401).astype(np.float32)
    for comparator in Comparator:
        for first in (0, 1):
            queries = np.tile(generator.standard_normal(400 + first), (33, 1))
            candidates = estimates.candidates(comparator, np.tile(row[: 400 + first], (33, 1)), first)
            scores = exact_scores(comparator, first)(queries, candidates.exact, candidates.scales)
            assert len(set(scores.tolist())) == 1
