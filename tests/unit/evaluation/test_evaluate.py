"""Evaluation of a stored checkpoint: both sides, every split, the protocol."""

from pathlib import Path

import numpy as np
import pytest

from graphbed.clock import ManualClock
from graphbed.errors import InputError, ObjectCorrupt
from graphbed.evaluation.edges import load_edges
from graphbed.evaluation.evaluate import evaluate
from graphbed.evaluation.metrics import Evaluation
from graphbed.evaluation.scoring import TrainedModel
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.directory import DirectoryStore
from tests.fixtures.trained import TEST, TRAIN, train_by_chance, write_job
from tests.unit.evaluation.slow import slow_ranks


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(train_by_chance(write_job(tmp_path)).store)


def run(store: DirectoryStore, split: str = "test", **options: bool) -> Evaluation:
    options = {"filtered": True, "per_relation": False, **options}
    return evaluate(store, Checkpoint.read(store, "j"), split, clock=ManualClock(), **options)


@pytest.mark.parametrize("filtered", [False, True])
def test_a_stored_checkpoint_is_ranked_as_the_slow_implementation_ranks_it(store: DirectoryStore, filtered: bool):
    checkpoint = Checkpoint.read(store, "j")
    model = TrainedModel.from_checkpoint(checkpoint)
    test = load_edges(store, checkpoint.schema, ["test"])
    known = load_edges(store, checkpoint.schema, ["train", "test"]) if filtered else None
    lhs, rhs = (np.array(slow_ranks(model, test, side, known)) for side in ("lhs", "rhs"))
    evaluation = run(store, filtered=filtered)
    assert evaluation.lhs.mean_rank == pytest.approx(lhs.mean())
    assert evaluation.rhs.mrr == pytest.approx((1 / rhs).mean())
    assert evaluation.both.mrr == pytest.approx((evaluation.lhs.mrr + evaluation.rhs.mrr) / 2)


def test_filtering_uses_every_split(store: DirectoryStore):
    assert run(store, filtered=True).protocol.filter_splits == ("train", "test")
    assert run(store, "train", filtered=True).both.mean_rank < run(store, "train", filtered=False).both.mean_rank


def test_the_protocol_stands_beside_the_numbers(store: DirectoryStore):
    document = run(store, filtered=False).to_document()
    assert document["protocol"] == {
        "job": "j",
        "checkpoint": 1,
        "graph": "g",
        "seed": 0,
        "split": "test",
        "edges": len(TEST),
        "candidates": "all",
        "filtered": False,
        "filter_splits": (),
        "sides": ("lhs", "rhs"),
        "ties": "mean",
        "nan": "last",
        "scores": {
            "likes": {"lhs": "cos(l', complex_diagonal[lhs](t))", "rhs": "cos(complex_diagonal[rhs](l), t')"},
            "*": {"lhs": "cos(l', translation[rhs](t))", "rhs": "cos(l, translation[rhs](t'))"},
        },
    }
    assert document["ranks"] == 2 * len(TEST) and "per_relation" not in document


def test_relations_are_broken_down_on_request(store: DirectoryStore):
    evaluation = run(store, "train", per_relation=True)
    parts = {relation.relation: relation.metrics for relation in evaluation.per_relation or ()}
    assert {name: metrics.ranks for name, metrics in parts.items()} == {"likes": 24, "knows": 24}
    mean = sum(metrics.mrr * metrics.ranks for metrics in parts.values()) / (2 * len(TRAIN))
    assert mean == pytest.approx(evaluation.both.mrr)


def test_edges_come_back_by_name_from_their_ids(store: DirectoryStore):
    from graphbed.evaluation.names import EntityNames

    schema = Checkpoint.read(store, "j").schema
    names = EntityNames.load(store, schema).by_type
    edges = load_edges(store, schema, ["train"])
    found = [
        (names["user"][lhs], schema.relations[r].name, names[schema.relations[r].rhs][rhs])
        for lhs, r, rhs in zip(edges.lhs, edges.relation, edges.rhs, strict=True)
    ]
    assert sorted(found) == sorted(TRAIN)


def test_an_unknown_split_is_refused_with_those_there_are(store: DirectoryStore):
    with pytest.raises(InputError, match="no split valid; it has train, test"):
        run(store, "valid")


def test_a_flipped_bit_in_a_partition_is_refused_and_named(store: DirectoryStore, tmp_path: Path):
    (path,) = (tmp_path / "store" / "jobs" / "j" / "partitions" / "user" / "1").iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ObjectCorrupt, match="partitions/user/1/"):
        run(store)
