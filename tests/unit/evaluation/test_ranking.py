"""Ranks: by hand, against a slow implementation, and for any cut of the graph."""

import numpy as np
import pytest

from graphbed.config.choices import Comparator, Operator
from graphbed.config.job import RelationConfig
from graphbed.evaluation.edges import SplitEdges
from graphbed.evaluation.known import KnownEntities
from graphbed.evaluation.metrics import RankMetrics
from graphbed.evaluation.ranking import BATCH, rank
from graphbed.evaluation.scoring import SIDES, TrainedModel
from graphbed.graph.schema import RelationEntry
from tests.unit.evaluation.models import DIMENSION, job, random_edges, random_model, schema
from tests.unit.evaluation.slow import slow_ranks


def quiet(ranks: int) -> None:
    pass


def scalar_model(values: list[float], *, cuts: int = 1) -> TrainedModel:
    """One relation without operator; the score of (l, t) is values[l] · values[t]."""
    config = job([RelationConfig(name="r", lhs="node", rhs="node")], {"node": cuts}, Comparator.DOT)
    table = np.zeros((len(values), DIMENSION), dtype=np.float32)
    table[:, 0] = values
    parts = np.array_split(table, cuts)
    graph = schema([RelationEntry(name="r", lhs="node", rhs="node")], {"node": [len(part) for part in parts]})
    return TrainedModel.build(config, graph, {"node": parts}, {})


def edges(*triples: tuple[int, int, int]) -> SplitEdges:
    lhs, relation, rhs = zip(*triples, strict=True)
    return SplitEdges(lhs=np.array(lhs), relation=np.array(relation, dtype=np.int32), rhs=np.array(rhs))


def raw_ranks(values: list[float], *pairs: tuple[int, int], cuts: int = 1) -> list[float]:
    triples = [(lhs, 0, rhs) for lhs, rhs in pairs]
    return rank(scalar_model(values, cuts=cuts), edges(*triples), "rhs", None, quiet).tolist()


@pytest.mark.parametrize("cuts", [1, 2, 3])
def test_ranks_of_a_hand_made_case(cuts: int):
    # Entity 0 asks: scores of 0..5 are 1, 5, 3, 3, 2, 4.
    assert raw_ranks([1, 5, 3, 3, 2, 4], (0, 1), (0, 5), (0, 4), (0, 0), cuts=cuts) == [1, 2, 5, 6]


def test_a_tie_counts_half_and_the_true_entity_does_not_tie_with_itself():
    assert raw_ranks([1, 5, 3, 3, 3, 4], (0, 2)) == [1 + 2 + 2 / 2]


def test_equal_scores_everywhere_give_the_mean_rank():
    assert raw_ranks([1, 1, 1, 1, 1], (0, 3)) == [3.0]


@pytest.mark.parametrize("cuts", [1, 3])
def test_nan_is_last_and_nans_tie_with_one_another(cuts: int):
    nan = float("nan")
    # Entity 0 asks: 2 numbers (its own and -inf·1), then two NaN besides the true one.
    assert raw_ranks([1, nan, nan, nan, 2, float("-inf")], (0, 1), cuts=cuts) == [1 + 3 + 2 / 2]
    assert raw_ranks([1, nan, nan, nan, 2, -3], (0, 5), cuts=cuts) == [3]


def test_a_query_of_nan_is_ranked_in_the_middle_not_first():
    assert raw_ranks([float("nan"), 1, 2, 3, 4], (0, 1)) == [3.0]


@pytest.mark.parametrize("cuts", [1, 2])
def test_filtering_leaves_out_known_entities_but_never_the_true_one(cuts: int):
    model = scalar_model([1, 5, 3, 3, 2, 4], cuts=cuts)
    known = edges((0, 0, 1), (0, 0, 2), (0, 0, 3), (1, 0, 5))
    index = KnownEntities.build(known, "rhs")
    # Above or beside entity 2 (score 3): 1 and the twin 3 are known, 5 is not, for lhs 0.
    assert rank(model, edges((0, 0, 2)), "rhs", index, quiet).tolist() == [2.0]
    assert rank(model, edges((0, 0, 2)), "rhs", None, quiet).tolist() == [1 + 2 + 0.5]


def test_nan_candidates_that_are_known_are_left_out_too():
    nan = float("nan")
    model = scalar_model([1, nan, nan, nan])
    index = KnownEntities.build(edges((0, 0, 1), (0, 0, 2), (0, 0, 0)), "rhs")
    assert rank(model, edges((0, 0, 1)), "rhs", index, quiet).tolist() == [1.5]


@pytest.mark.parametrize("reciprocal", [False, True])
@pytest.mark.parametrize("comparator", list(Comparator))
@pytest.mark.parametrize("operator", list(Operator))
def test_ranks_agree_with_a_slow_independent_implementation(
    operator: Operator, comparator: Comparator, reciprocal: bool
):
    for seed, counts in enumerate([{"user": [9], "item": [7]}, {"user": [4, 3, 2], "item": [3, 4, 1]}]):
        model = random_model(operator, comparator, reciprocal=reciprocal, counts=counts, seed=seed)
        test, train = random_edges(model, 12, seed), random_edges(model, 60, seed + 100)
        for sought in SIDES:
            raw = rank(model, test, sought, None, quiet, block_rows=3)
            filtered = rank(model, test, sought, KnownEntities.build(train, sought), quiet)
            assert raw.tolist() == slow_ranks(model, test, sought, None)
            assert filtered.tolist() == slow_ranks(model, test, sought, train)
            assert (filtered <= raw).all() and (filtered < raw).any()


def test_partitions_and_blocks_do_not_change_ranks():
    whole = random_model(
        Operator.COMPLEX_DIAGONAL, Comparator.DOT, reciprocal=True, counts={"user": [40], "item": [30]}, seed=5
    )
    table = {kind: parts[0] for kind, parts in whole.tables.items()}
    test = random_edges(whole, 200, 6)
    index = {sought: KnownEntities.build(random_edges(whole, 500, 7), sought) for sought in SIDES}
    for cuts in (2, 5):
        parts = {kind: np.array_split(rows, cuts) for kind, rows in table.items()}
        counts = {kind: [len(part) for part in some] for kind, some in parts.items()}
        config = job(list(whole.groups.entries), dict.fromkeys(counts, cuts), Comparator.DOT)
        relations = [RelationEntry(name=n, lhs="user", rhs="user" if n == "c" else "item") for n in "abc"]
        parameters = dict(whole.parameters)
        model = TrainedModel.build(config, schema(relations, counts), parts, parameters)
        for sought in SIDES:
            expected = rank(whole, test, sought, index[sought], quiet)
            assert rank(model, test, sought, index[sought], quiet, block_rows=4).tolist() == expected.tolist()


def test_progress_counts_every_rank_once():
    model = random_model(Operator.DIAGONAL, Comparator.COS, reciprocal=False, counts={"user": [5], "item": [4]}, seed=1)
    seen: list[int] = []
    rank(model, random_edges(model, 2500, 2), "lhs", None, seen.append)
    assert sum(seen) == 2500 and max(seen) <= BATCH


def test_metrics_are_averages_over_all_ranks_of_both_sides():
    metrics = RankMetrics.of(np.array([1.0, 2.5]), np.array([4.0, 10.0]))
    assert metrics.mrr == pytest.approx((1 + 0.4 + 0.25 + 0.1) / 4)
    assert metrics.mean_rank == pytest.approx(17.5 / 4)
    assert (metrics.hits_at_1, metrics.hits_at_3, metrics.hits_at_10, metrics.ranks) == (0.25, 0.5, 1.0, 4)


def test_known_entities_of_many_queries_come_out_once_each():
    index = KnownEntities.build(edges((3, 1, 7), (3, 1, 7), (3, 1, 2), (0, 0, 9), (3, 0, 4)), "rhs")
    query, entity = index.look_up(np.array([1, 0, 2, 1, 0], dtype=np.int32), np.array([3, 0, 3, 3, 99]))
    assert list(zip(query.tolist(), entity.tolist(), strict=True)) == [(0, 2), (0, 7), (1, 9), (3, 2), (3, 7)]


def test_nothing_known_is_found_in_an_empty_index():
    nothing = SplitEdges(lhs=np.empty(0, np.int64), relation=np.empty(0, np.int32), rhs=np.empty(0, np.int64))
    query, entity = KnownEntities.build(nothing, "lhs").look_up(np.array([0], dtype=np.int32), np.array([0]))
    assert len(query) == len(entity) == 0
