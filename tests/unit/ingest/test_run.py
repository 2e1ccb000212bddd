"""Ingestion: what lies in the store afterwards, whatever the order of files and lines."""

import random
from pathlib import Path

import numpy as np
import pytest

from graphbed.config.job import JobConfig
from graphbed.errors import GraphMissing, InputError, ObjectCorrupt
from graphbed.graph.partition import Bucket
from graphbed.ingest.run import IngestSummary, ingest
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_document import read_graph
from graphbed.storage.graph_files import check_edges, read_edges, read_entities, read_relations
from graphbed.storage.objects import ObjectStore

LIKES = [(f"u{i}", "likes", f"i{(7 * i) % 13}") for i in range(40)]
KNOWS = [(f"u{i}", "knows", f"u{(i * i) % 40}") for i in range(40)]


def write(path: Path, edges: list[tuple[str, ...]]) -> str:
    path.write_text("".join("\t".join(edge) + "\n" for edge in edges))
    return str(path)


def job(edges: dict[str, object], **changes: object) -> JobConfig:
    return JobConfig.model_validate(
        {
            "job": "j",
            "graph": "g",
            "entities": {"user": {"num_partitions": 3}, "item": {"num_partitions": 1}},
            "relations": [{"name": "knows", "lhs": "user", "rhs": "user"}, {"name": "*", "lhs": "user", "rhs": "item"}],
            "edges": edges,
            "dimension": 4,
            "seed": 5,
            **changes,
        }
    )


def two_splits(folder: Path, edges: list[tuple[str, ...]]) -> dict[str, object]:
    test = write(folder / "test.tsv", [("u0", "likes", "only-in-test")])
    return {"train": {"files": [write(folder / "train.tsv", edges)]}, "test": {"files": [test]}}


def run(config: JobConfig, store: ObjectStore) -> IngestSummary:
    return ingest(config, store, lambda *_: None)


def read_back(store: ObjectStore, split: str) -> list[tuple[str, str, str, float]]:
    """Every edge of a split by name, sorted."""
    schema = read_graph(store, "g")
    names = {kind: [read_entities(store, f) for f in table.partitions] for kind, table in schema.entities.items()}
    found = []
    for edge_file in schema.splits[split]:
        edges = check_edges(read_edges(store, edge_file, schema.weighted), edge_file, schema)
        for lhs, number, rhs, weight in zip(edges.lhs, edges.relation, edges.rhs, edges.weight, strict=True):
            relation = schema.relations[number]
            left = names[relation.lhs][edge_file.lhs][lhs]
            found.append((left, relation.name, names[relation.rhs][edge_file.rhs][rhs], float(weight)))
    return sorted(found)


def objects(store: ObjectStore) -> dict[str, bytes]:
    return {key: store.get(key) for key in store.list("")}


def test_every_edge_comes_back_once_with_its_names(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    summary = run(job(two_splits(tmp_path, LIKES + KNOWS + LIKES[:3])), store)
    assert read_back(store, "train") == sorted((*edge, 1.0) for edge in LIKES + KNOWS + LIKES[:3])
    assert summary.created
    assert summary.edges == {"train": 83, "test": 1}
    assert summary.entities == {"user": 40, "item": 14} and summary.partitions == {"user": 3, "item": 1}


def test_an_entity_of_the_test_split_alone_has_an_id_too(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    run(job(two_splits(tmp_path, LIKES + KNOWS)), store)
    assert read_back(store, "test") == [("u0", "likes", "only-in-test", 1.0)]


def test_relations_get_their_entry_and_are_sorted_by_name(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    extra = [("u1", "buys", "i1")]
    run(job(two_splits(tmp_path, LIKES + KNOWS + extra)), store)
    schema = read_graph(store, "g")
    assert [(r.name, r.lhs, r.rhs) for r in schema.relations] == [
        ("buys", "user", "item"),
        ("knows", "user", "user"),
        ("likes", "user", "item"),
    ]
    assert read_relations(store, schema.relation_file) == schema.relations


def test_partitions_are_nearly_equal_and_buckets_without_edges_have_no_file(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    run(job(two_splits(tmp_path, LIKES)), store)
    schema = read_graph(store, "g")
    assert schema.entities["user"].counts == (14, 13, 13)
    assert set(schema.edges_per_bucket("train")) == {Bucket(i, 0) for i in range(3)}
    assert len(store.list("graphs/g/edges/train/")) == 3


def test_the_order_of_lines_and_files_does_not_matter(tmp_path: Path):
    edges = LIKES + KNOWS
    first, second = DirectoryStore(tmp_path / "1"), DirectoryStore(tmp_path / "2")
    run(job(two_splits(tmp_path, edges)), first)
    shuffled = random.Random(0).sample(edges, len(edges))
    files = [write(tmp_path / f"part{i}.tsv", shuffled[i::3]) for i in range(3)]
    run(job({"test": {"files": [str(tmp_path / "test.tsv")]}, "train": {"files": files}}), second)
    one, two = read_graph(first, "g"), read_graph(second, "g")
    assert one.entities == two.entities and dict(one.splits) == dict(two.splits)


def test_another_seed_deals_other_partitions(tmp_path: Path):
    first, second = DirectoryStore(tmp_path / "1"), DirectoryStore(tmp_path / "2")
    run(job(two_splits(tmp_path, LIKES + KNOWS)), first)
    run(job(two_splits(tmp_path, LIKES + KNOWS), seed=6), second)
    assert read_graph(first, "g").entities != read_graph(second, "g").entities
    assert read_back(first, "train") == read_back(second, "train")


def test_edges_are_shuffled_inside_their_bucket(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    config = job(two_splits(tmp_path, LIKES + KNOWS), entities={"user": {}, "item": {}})
    run(config, store)
    schema = read_graph(store, "g")
    (edge_file,) = schema.splits["train"]
    relation = read_edges(store, edge_file, weighted=False).relation
    assert np.count_nonzero(np.diff(relation)) > 10


def test_weights_of_one_split_are_kept_and_the_others_weigh_one(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    train = write(tmp_path / "train.tsv", [("0.25", "u1", "i1"), ("2", "u1", "i1"), ("0", "u2", "i2")])
    edges = {
        "train": {"files": [train], "columns": ["weight", "lhs", "rhs"]},
        "test": {"files": [write(tmp_path / "test.tsv", [("u1", "i2")])], "columns": ["lhs", "rhs"]},
    }
    entities = {"user": {}, "item": {}}
    run(job(edges, relations=[{"name": "likes", "lhs": "user", "rhs": "item"}], entities=entities), store)
    assert read_back(store, "train") == [
        ("u1", "likes", "i1", 0.25),
        ("u1", "likes", "i1", 2.0),
        ("u2", "likes", "i2", 0.0),
    ]
    assert read_back(store, "test") == [("u1", "likes", "i2", 1.0)]


def test_ingesting_the_same_again_changes_nothing_and_says_so(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    config = job(two_splits(tmp_path, LIKES + KNOWS))
    run(config, store)
    before = objects(store)
    summary = run(config, store)
    assert not summary.created and summary.edges == {"train": 80, "test": 1}
    assert objects(store) == before


@pytest.mark.parametrize(
    ("edges", "changes", "words"),
    [
        (LIKES + KNOWS, {"seed": 6}, "its seed is 5, not 6"),
        (LIKES + KNOWS, {"entities": {"user": {"num_partitions": 2}, "item": {}}}, "40 entities of the type user in 3"),
        (LIKES + KNOWS[1:] + KNOWS[:1] * 2, {}, "edges in train"),
        ([*LIKES[1:], ("u0", "likes", "i12"), *KNOWS], {}, "edges in train"),
        ([*LIKES, ("other", "knows", "u1"), *KNOWS[1:]], {}, "entities of the type user"),
        ([*LIKES, *(("u1", "bites", "i1"),), *KNOWS], {}, "its relations differ"),
    ],
)
def test_another_graph_of_the_same_name_is_refused_and_left_alone(tmp_path: Path, edges, changes, words: str):
    store = DirectoryStore(tmp_path / "store")
    run(job(two_splits(tmp_path, LIKES + KNOWS)), store)
    before = objects(store)
    with pytest.raises(InputError, match="Choose another graph name") as refused:
        run(job(two_splits(tmp_path, edges), **changes), store)
    assert words in str(refused.value)
    assert objects(store) == before


def test_bad_input_leaves_nothing_in_the_store(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    with pytest.raises(InputError, match=r"train.tsv:81: 2 columns"):
        run(job(two_splits(tmp_path, [*LIKES, *KNOWS, ("u1", "likes")])), store)
    assert store.list("") == []


class FullAfter(DirectoryStore):
    """A store that fails after some objects."""

    left = 4

    def put(self, key, data):
        if self.left == 0:
            raise OSError("full")
        self.left -= 1
        return super().put(key, data)


def test_a_half_ingested_graph_is_no_graph_and_the_next_run_completes_it(tmp_path: Path):
    config = job(two_splits(tmp_path, LIKES + KNOWS))
    with pytest.raises(OSError, match="full"):
        run(config, FullAfter(tmp_path / "store"))
    store = DirectoryStore(tmp_path / "store")
    assert len(store.list("")) == 4
    with pytest.raises(GraphMissing):
        read_graph(store, "g")
    assert run(config, store).created
    assert read_back(store, "train") == sorted((*edge, 1.0) for edge in LIKES + KNOWS)


def test_a_damaged_graph_is_named_and_not_taken_for_the_same(tmp_path: Path):
    store = DirectoryStore(tmp_path / "store")
    config = job(two_splits(tmp_path, LIKES + KNOWS))
    run(config, store)
    path = tmp_path / "store" / "graphs" / "g" / "entities" / "user" / "1.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ObjectCorrupt, match=r"entities/user/1\.parquet"):
        run(config, store)


def test_fewer_entities_than_partitions_are_refused(tmp_path: Path):
    entities = {"user": {"num_partitions": 41}, "item": {}}
    with pytest.raises(InputError, match=r"entities.user.num_partitions is 41, but the files hold 40 entities"):
        run(job(two_splits(tmp_path, LIKES + KNOWS), entities=entities), DirectoryStore(tmp_path / "store"))


def test_a_type_without_entities_is_refused(tmp_path: Path):
    entities = {"user": {"num_partitions": 3}, "item": {}, "shop": {}}
    with pytest.raises(InputError, match="0 entities of the type shop"):
        run(job(two_splits(tmp_path, LIKES + KNOWS), entities=entities), DirectoryStore(tmp_path / "store"))


def test_training_edges_are_needed(tmp_path: Path):
    edges = {"test": {"files": [write(tmp_path / "t.tsv", LIKES)]}}
    with pytest.raises(InputError, match=r"edges.train is missing"):
        run(job(edges), DirectoryStore(tmp_path / "store"))


def test_an_unknown_relation_is_refused_with_its_line(tmp_path: Path):
    relations = [{"name": "knows", "lhs": "user", "rhs": "user"}, {"name": "buys", "lhs": "user", "rhs": "item"}]
    config = job(two_splits(tmp_path, [*KNOWS, *LIKES]), relations=relations)
    with pytest.raises(InputError, match=r"train.tsv:41: the relation 'likes' is not in the configuration"):
        run(config, DirectoryStore(tmp_path / "store"))


def test_relations_of_the_configuration_that_have_no_edges_are_reported(tmp_path: Path):
    relations = [
        {"name": "knows", "lhs": "user", "rhs": "user"},
        {"name": "hates", "lhs": "user", "rhs": "user"},
        {"name": "*", "lhs": "user", "rhs": "item"},
    ]
    config = job(two_splits(tmp_path, [*KNOWS, *LIKES]), relations=relations)
    assert run(config, DirectoryStore(tmp_path / "store")).unused_relations == ("hates",)


def test_progress_reaches_its_end(tmp_path: Path):
    seen: list[tuple[str, int, int]] = []
    config = job(two_splits(tmp_path, LIKES + KNOWS))
    ingest(config, DirectoryStore(tmp_path / "store"), lambda *step: seen.append(step))
    last = {activity: (done, total) for activity, done, total in seen}
    assert set(last) == {"reading", "writing"} and all(done == total for done, total in last.values())
