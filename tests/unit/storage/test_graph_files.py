"""The tables of a graph: what is written is read, what was changed is refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphbed.errors import GraphMissing, ObjectCorrupt, ObjectMissing
from graphbed.graph.edges import EdgeArrays
from graphbed.graph.partition import Bucket, Partition
from graphbed.graph.schema import EdgeFile, EntityTable, GraphSchema, RelationEntry, StoredFile
from graphbed.storage import graph_files
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_document import read_graph, read_graph_and_sha256, write_graph


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


def edges(count: int = 7, seed: int = 1) -> EdgeArrays:
    random = np.random.default_rng(seed)
    return EdgeArrays(
        lhs=random.integers(0, 3, count),
        relation=random.integers(0, 2, count).astype(np.int32),
        rhs=random.integers(0, 2, count),
        weight=random.random(count, dtype=np.float32),
    )


def schema_of(store: DirectoryStore, edge_file: EdgeFile) -> GraphSchema:
    def table(entity_type: str, *counts: int) -> EntityTable:
        files = [
            graph_files.write_entities(
                store, "g", Partition(entity_type, index), [f"{index}-{n}" for n in range(count)]
            )
            for index, count in enumerate(counts)
        ]
        return EntityTable(partitions=tuple(files))

    relations = (RelationEntry(name="r0", lhs="a", rhs="b"), RelationEntry(name="r1", lhs="a", rhs="b"))
    return GraphSchema(
        name="g",
        seed=1,
        entities={"a": table("a", 4, 3), "b": table("b", 2)},
        relations=relations,
        relation_file=graph_files.write_relations(store, "g", relations),
        splits={"train": (edge_file,)},
        weighted=True,
    )


@pytest.mark.parametrize("names", [[], ["x"], ["b", "a", "ü\t'\"", "", "長い"]])
def test_names_are_read_back_in_their_order(store: DirectoryStore, names: list[str]) -> None:
    file = graph_files.write_entities(store, "g", Partition("e", 3), names)
    assert file.rows == len(names)
    assert file.key == "graphs/g/entities/e/3.parquet"
    assert graph_files.read_entities(store, file) == names


def test_relations_are_read_back(store: DirectoryStore) -> None:
    relations = (RelationEntry(name="likes", lhs="a", rhs="b"), RelationEntry(name="knows", lhs="a", rhs="a"))
    file = graph_files.write_relations(store, "g", relations)
    assert graph_files.read_relations(store, file) == relations


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_edges_are_read_back_in_their_order(store: DirectoryStore, weighted: bool, count: int) -> None:
    written = edges(count)
    edge_file = graph_files.write_edges(store, "g", "train", Bucket(1, 0), written, weighted)
    assert (edge_file.bucket, edge_file.file.rows) == (Bucket(1, 0), count)
    read = graph_files.read_edges(store, edge_file, weighted)
    for column in ("lhs", "relation", "rhs"):
        assert np.array_equal(getattr(read, column), getattr(written, column))
    assert np.array_equal(read.weight, written.weight if weighted else np.ones(count, np.float32))
    assert read.lhs.flags.writeable


def test_equal_edges_give_equal_files(store: DirectoryStore) -> None:
    first = graph_files.write_edges(store, "g", "train", Bucket(0, 0), edges(), True)
    assert graph_files.write_edges(store, "g", "train", Bucket(0, 0), edges(), True) == first


def test_a_changed_or_missing_file_is_named(store: DirectoryStore, tmp_path: Path) -> None:
    edge_file = graph_files.write_edges(store, "g", "train", Bucket(0, 0), edges(), True)
    path = tmp_path / edge_file.file.key
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ObjectCorrupt, match=edge_file.file.key):
        graph_files.read_edges(store, edge_file, True)
    path.unlink()
    with pytest.raises(ObjectMissing, match=edge_file.file.key):
        graph_files.read_edges(store, edge_file, True)


def rewritten(store: DirectoryStore, key: str, table: pa.Table, rows: int) -> StoredFile:
    """A table that another engine wrote; graph.json would name it with its own checksum."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    stored = store.put(key, sink.getvalue().to_pybytes())
    return StoredFile(key=key, size=stored.size, sha256=stored.sha256, rows=rows)


def test_files_of_other_columns_rows_or_kinds_are_refused(store: DirectoryStore) -> None:
    names = pa.array(["a", "b"])
    for table, rows in (
        (pa.table({"name": names}), 2),
        (pa.table({"name": names, "offset": pa.array([0, 1], pa.int32())}), 2),
        (pa.table({"name": names, "offset": pa.array([0, 1], pa.int64())}), 3),
        (pa.table({"name": names, "offset": pa.array([0, 0], pa.int64())}), 2),
        (pa.table({"name": names, "offset": pa.array([0, None], pa.int64())}), 2),
    ):
        file = rewritten(store, "graphs/g/entities/e/0.parquet", table, rows)
        with pytest.raises(ObjectCorrupt, match=r"entities/e/0\.parquet"):
            graph_files.read_entities(store, file)
    stored = store.put("graphs/g/entities/e/0.parquet", b"not parquet at all")
    with pytest.raises(ObjectCorrupt):
        graph_files.read_entities(store, StoredFile(key=stored.key, size=stored.size, sha256=stored.sha256, rows=0))


def test_names_in_another_order_keep_their_offsets(store: DirectoryStore) -> None:
    table = pa.table({"name": pa.array(["second", "first"]), "offset": pa.array([1, 0], pa.int64())})
    file = rewritten(store, "graphs/g/entities/e/0.parquet", table, 2)
    assert graph_files.read_entities(store, file) == ["first", "second"]


def test_edges_within_the_graph_pass_and_others_are_refused(store: DirectoryStore) -> None:
    good = edges()
    edge_file = graph_files.write_edges(store, "g", "train", Bucket(1, 0), good, True)
    schema = schema_of(store, edge_file)
    assert graph_files.check_edges(good, edge_file, schema) is good

    def changed(column: str, value: float) -> EdgeArrays:
        columns = {name: getattr(good, name).copy() for name in ("lhs", "relation", "rhs", "weight")}
        columns[column][3] = value
        return EdgeArrays(**columns)

    for column, value in (
        ("relation", 2),
        ("relation", -1),
        ("lhs", 3),  # partition 1 of a has three entities, partition 0 has four
        ("lhs", -1),
        ("rhs", 2),
        ("weight", np.nan),
        ("weight", -1.0),
    ):
        with pytest.raises(ObjectCorrupt, match=edge_file.file.key):
            graph_files.check_edges(changed(column, value), edge_file, schema)


def test_a_type_that_is_not_cut_lies_beside_every_partition(store: DirectoryStore) -> None:
    edge_file = graph_files.write_edges(store, "g", "train", Bucket(0, 1), edges(), True)
    graph_files.check_edges(edges(), edge_file, schema_of(store, edge_file))


def test_the_graph_exists_once_its_document_is_written(store: DirectoryStore) -> None:
    edge_file = graph_files.write_edges(store, "g", "train", Bucket(1, 0), edges(), True)
    schema = schema_of(store, edge_file)
    with pytest.raises(GraphMissing, match="g is not in the store"):
        read_graph(store, "g")
    stored = write_graph(store, schema)
    assert read_graph(store, "g") == schema
    assert read_graph_and_sha256(store, "g") == (schema, stored.sha256)


def test_a_document_that_is_none_is_named(store: DirectoryStore) -> None:
    store.put("graphs/g/graph.json", b'{"format": 1}')
    with pytest.raises(ObjectCorrupt, match=r"graphs/g/graph\.json"):
        read_graph(store, "g")


def test_edges_of_unequal_columns_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="rhs"):
        EdgeArrays.unweighted(np.zeros(2, np.int64), np.zeros(2, np.int32), np.zeros(3, np.int64))


def test_taking_edges_keeps_the_order_asked_for() -> None:
    all_edges = edges(5)
    taken = all_edges.take(np.array([4, 0, 0]))
    assert taken.lhs.tolist() == [all_edges.lhs[4], all_edges.lhs[0], all_edges.lhs[0]]
    assert len(all_edges.take(slice(1, 3))) == 2
