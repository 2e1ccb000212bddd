"""The data files of a graph: entities, relations and edges as Parquet, readable and writable by any engine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graphbed.errors import ObjectCorrupt
from graphbed.graph.edges import EdgeArrays
from graphbed.graph.partition import Bucket, Partition
from graphbed.graph.schema import EdgeFile, GraphSchema, RelationEntry, StoredFile
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore, get_verified

_ENTITIES = pa.schema([("name", pa.string()), ("offset", pa.int64())])
_RELATIONS = pa.schema([("id", pa.int32()), ("name", pa.string()), ("lhs", pa.string()), ("rhs", pa.string())])
_EDGES = pa.schema([("lhs", pa.int64()), ("relation", pa.int32()), ("rhs", pa.int64())])
_WEIGHTED_EDGES = _EDGES.append(pa.field("weight", pa.float32()))


def write_entities(store: ObjectStore, graph: str, partition: Partition, names: Sequence[str]) -> StoredFile:
    """Write the table of one partition; the offset of a name is its place in `names`."""
    columns = [pa.array(names, type=pa.string()), pa.array(np.arange(len(names), dtype=np.int64))]
    return _write(store, layout.entities(graph, partition), pa.Table.from_arrays(columns, schema=_ENTITIES))


def read_entities(store: ObjectStore, file: StoredFile) -> list[str]:
    """The names of one partition in the order of their offsets. Raises ObjectMissing, ObjectCorrupt."""
    table = _read(store, file, _ENTITIES)
    offsets = table["offset"].to_numpy()
    order = np.argsort(offsets, kind="stable")
    if not np.array_equal(offsets[order], np.arange(file.rows)):
        raise ObjectCorrupt(key=file.key, store=store.address, what="its offsets are not 0, 1, 2, …")
    names: list[str] = table["name"].take(pa.array(order)).to_pylist()
    return names


def write_initial(
    store: ObjectStore, graph: str, partition: Partition, offsets: np.ndarray, vectors: np.ndarray
) -> StoredFile:
    """Write initial vectors, float32 [N, D], of the entities at `offsets`, int64 [N], of one partition."""
    columns = [pa.array(offsets), pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])]
    table = pa.Table.from_arrays(columns, schema=_initial_schema(vectors.shape[1]))
    return _write(store, layout.initial(graph, partition), table)


def read_initial(store: ObjectStore, file: StoredFile, *, rows: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets int64 [N] in a partition of `rows` entities, and their vectors float32 [N, D].

    Raises ObjectMissing, ObjectCorrupt.
    """
    table = _read(store, file, _initial_schema(dimension))
    offsets = _column(table, "offset")
    vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, dimension)
    if not np.isfinite(vectors).all():
        raise ObjectCorrupt(key=file.key, store=store.address, what="a number is not finite")
    if len(offsets) and (offsets.min() < 0 or offsets.max() >= rows):
        raise ObjectCorrupt(key=file.key, store=store.address, what="it names an entity that the graph does not have")
    return offsets, vectors


def _initial_schema(dimension: int) -> Any:
    return pa.schema([("offset", pa.int64()), ("embedding", pa.list_(pa.float32(), dimension))])


def write_relations(store: ObjectStore, graph: str, relations: Sequence[RelationEntry]) -> StoredFile:
    """Write the table of the relations; the id of a relation is its place in `relations`."""
    columns = [
        pa.array(np.arange(len(relations), dtype=np.int32)),
        pa.array([relation.name for relation in relations], type=pa.string()),
        pa.array([relation.lhs for relation in relations], type=pa.string()),
        pa.array([relation.rhs for relation in relations], type=pa.string()),
    ]
    return _write(store, layout.relations(graph), pa.Table.from_arrays(columns, schema=_RELATIONS))


def read_relations(store: ObjectStore, file: StoredFile) -> tuple[RelationEntry, ...]:
    """The relations in the order of their ids. Raises ObjectMissing, ObjectCorrupt."""
    rows = sorted(_read(store, file, _RELATIONS).to_pylist(), key=lambda row: int(row["id"]))
    if [row["id"] for row in rows] != list(range(file.rows)):
        raise ObjectCorrupt(key=file.key, store=store.address, what="its ids are not 0, 1, 2, …")
    return tuple(RelationEntry(name=row["name"], lhs=row["lhs"], rhs=row["rhs"]) for row in rows)


def write_edges(
    store: ObjectStore, graph: str, split: str, bucket: Bucket, edges: EdgeArrays, weighted: bool
) -> EdgeFile:
    """Write the edges of one bucket in the order given; the weights only if the graph is `weighted`."""
    columns = [pa.array(edges.lhs), pa.array(edges.relation), pa.array(edges.rhs)]
    if weighted:
        columns.append(pa.array(edges.weight))
    table = pa.Table.from_arrays(columns, schema=_WEIGHTED_EDGES if weighted else _EDGES)
    file = _write(store, layout.edges(graph, split, bucket), table)
    return EdgeFile(lhs=bucket.lhs, rhs=bucket.rhs, file=file)


def read_edges(store: ObjectStore, edge_file: EdgeFile, weighted: bool) -> EdgeArrays:
    """The edges of one bucket as they were written. Raises ObjectMissing, ObjectCorrupt.

    The offsets are not compared with the graph's counts: see `check_edges`.
    """
    table = _read(store, edge_file.file, _WEIGHTED_EDGES if weighted else _EDGES)
    lhs, relation, rhs = (_column(table, name) for name in ("lhs", "relation", "rhs"))
    if not weighted:
        return EdgeArrays.unweighted(lhs, relation, rhs)
    return EdgeArrays(lhs=lhs, relation=relation, rhs=rhs, weight=_column(table, "weight"))


def check_edges(edges: EdgeArrays, edge_file: EdgeFile, schema: GraphSchema) -> EdgeArrays:
    """Return `edges` if each names a relation and two entities of `schema`; raise ObjectCorrupt otherwise.

    A kernel without bound checks indexes tables with these numbers.
    """
    key = edge_file.file.key
    if not len(edges):
        return edges
    if edges.relation.min() < 0 or edges.relation.max() >= len(schema.relations):
        raise ObjectCorrupt(key=key, what="it names a relation that the graph does not have")
    for side, offsets, index in (("lhs", edges.lhs, edge_file.lhs), ("rhs", edges.rhs, edge_file.rhs)):
        counts = np.array([_count(schema, getattr(entry, side), index) for entry in schema.relations], dtype=np.int64)
        if offsets.min() < 0 or (offsets >= counts[edges.relation]).any():
            raise ObjectCorrupt(key=key, what=f"it names an entity of the {side} that the graph does not have")
    if not np.isfinite(edges.weight).all() or edges.weight.min() < 0:
        raise ObjectCorrupt(key=key, what="a weight is negative or not finite")
    return edges


def _count(schema: GraphSchema, entity_type: str, index: int) -> int:
    counts = schema.entities[entity_type].counts
    if len(counts) == 1:  # a type that is not cut lies beside every partition of the others
        return counts[0]
    return counts[index] if index < len(counts) else 0


def _column(table: Any, name: str) -> Any:
    """One column as a contiguous array that may be written to by whoever asked for it."""
    column = np.ascontiguousarray(table[name].to_numpy())
    return column if column.flags.writeable else column.copy()


def _write(store: ObjectStore, key: str, table: Any) -> StoredFile:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    stored = store.put(key, memoryview(sink.getvalue()))
    return StoredFile(key=stored.key, size=stored.size, sha256=stored.sha256, rows=table.num_rows)


def _read(store: ObjectStore, file: StoredFile, schema: Any) -> Any:
    """The table of a file whose bytes, columns and number of rows are the ones in graph.json, without nulls."""
    data = get_verified(store, file.key, size=file.size, sha256=file.sha256)
    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False).combine_chunks()
    except pa.ArrowException as error:
        raise ObjectCorrupt(key=file.key, store=store.address, what=str(error).splitlines()[0]) from None
    if not table.schema.equals(schema, check_metadata=False):
        raise ObjectCorrupt(key=file.key, store=store.address, what=f"its columns are {', '.join(table.column_names)}")
    if table.num_rows != file.rows or any(column.null_count for column in table.columns):
        raise ObjectCorrupt(key=file.key, store=store.address, what=f"it does not hold {file.rows} full rows")
    return table
