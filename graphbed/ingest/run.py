"""Ingestion: from a job's text files to a graph in the store, complete or not there at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphbed.config.job import ANY_RELATION, JobConfig
from graphbed.errors import InputError
from graphbed.graph.partition import Partition
from graphbed.graph.schema import EntityTable, GraphSchema
from graphbed.ingest.initial import InitialVectors
from graphbed.ingest.prepare import PreparedGraph, Watch, prepare
from graphbed.storage import layout
from graphbed.storage.graph_document import read_graph, write_graph
from graphbed.storage.graph_files import (
    read_edges,
    read_entities,
    read_initial,
    write_edges,
    write_entities,
    write_initial,
    write_relations,
)
from graphbed.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSummary:
    """What was ingested."""

    graph: str
    store: str
    created: bool
    """False: the store had this very graph already, and nothing was written."""
    entities: Mapping[str, int]
    partitions: Mapping[str, int]
    relations: int
    edges: Mapping[str, int]
    """Split → edges."""
    buckets: int
    """Buckets of `train` that have edges."""
    unused_relations: tuple[str, ...]
    """Relations that the configuration names and the data does not have."""


def ingest(config: JobConfig, store: ObjectStore, watch: Watch) -> IngestSummary:
    """Write the graph that `config` describes; does nothing if the store has exactly it.

    Raises InputError (bad files, or another graph of that name exists), ObjectCorrupt, and what a store raises.
    """
    prepared = prepare(config, watch)
    exists = store.exists(layout.graph_document(config.graph))
    if exists:
        existing = read_graph(store, config.graph)
        if (difference := _difference(prepared, existing, store, watch)) is not None:
            raise InputError(
                what=f"{store.address} holds another graph named {config.graph}: {difference}. "
                "Choose another graph name; nothing was changed."
            )
    else:
        write_graph(store, _write_files(prepared, store, watch))
    return IngestSummary(
        graph=config.graph,
        store=store.address,
        created=not exists,
        entities={kind: sum(map(len, parts)) for kind, parts in prepared.entities.items()},
        partitions={kind: len(parts) for kind, parts in prepared.entities.items()},
        relations=len(prepared.relations),
        edges={split: sum(map(len, buckets.values())) for split, buckets in prepared.splits.items()},
        buckets=len(prepared.splits["train"]),
        unused_relations=tuple(
            sorted({entry.name for entry in config.relations} - {r.name for r in prepared.relations} - {ANY_RELATION})
        ),
    )


def _write_files(graph: PreparedGraph, store: ObjectStore, watch: Watch) -> GraphSchema:
    """Write all files but graph.json. What an interrupted run left under these names is replaced."""
    total = sum(map(len, graph.entities.values())) + 1 + sum(map(len, graph.splits.values()))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        watch("writing", done, total)

    entities = {}
    for kind, parts in graph.entities.items():
        files = []
        for index, names in enumerate(parts):
            files.append(write_entities(store, graph.name, Partition(kind, index), names))
            step()
        initial = tuple(
            write_initial(store, graph.name, Partition(kind, index), vectors.offsets, vectors.vectors)
            for index, vectors in enumerate(graph.initial.get(kind, ()))
        )
        entities[kind] = EntityTable(partitions=tuple(files), initial=initial)
    relation_file = write_relations(store, graph.name, graph.relations)
    step()
    splits = {}
    for split, buckets in graph.splits.items():
        edge_files = []
        for bucket, edges in buckets.items():
            edge_files.append(write_edges(store, graph.name, split, bucket, edges, graph.weighted))
            step()
        splits[split] = tuple(edge_files)
    return GraphSchema(
        name=graph.name,
        seed=graph.seed,
        entities=entities,
        relations=graph.relations,
        relation_file=relation_file,
        splits=splits,
        weighted=graph.weighted,
    )


def _difference(new: PreparedGraph, old: GraphSchema, store: ObjectStore, watch: Watch) -> str | None:
    """The first difference of content, in words; None if there is none.

    The content is compared, not the bytes: another version of Parquet may write the same table differently.
    """
    if new.seed != old.seed:
        return f"its seed is {old.seed}, not {new.seed}"
    if set(new.entities) != set(old.entities):
        return f"its entity types are {', '.join(sorted(old.entities))}"
    for kind, parts in new.entities.items():
        if (counts := old.entities[kind].counts) != tuple(map(len, parts)):
            return f"it has {sum(counts)} entities of the type {kind} in {len(counts)} partitions"
    if new.relations != old.relations:
        return "its relations differ"
    if new.weighted != old.weighted:
        return f"its edges have {'' if old.weighted else 'no '}weights"
    if set(new.splits) != set(old.splits):
        return f"its splits are {', '.join(sorted(old.splits))}"
    for split, buckets in new.splits.items():
        if {bucket: len(edges) for bucket, edges in buckets.items()} != old.edges_per_bucket(split):
            return f"it has {sum(old.edges_per_bucket(split).values())} edges in {split}, cut in another way"
    return _data_difference(new, old, store, watch)


def _data_difference(new: PreparedGraph, old: GraphSchema, store: ObjectStore, watch: Watch) -> str | None:
    for kind, parts in new.entities.items():
        for names, file in zip(parts, old.entities[kind].partitions, strict=True):
            if read_entities(store, file) != names:
                return f"it has other entities of the type {kind}"
        if _initial_differs(new.initial.get(kind, ()), old.entities[kind], store):
            return f"it has other initial vectors of the type {kind}"
    for split, buckets in new.splits.items():
        for done, edge_file in enumerate(old.splits[split]):
            watch("comparing", done, len(buckets))
            mine, theirs = buckets[edge_file.bucket], read_edges(store, edge_file, old.weighted)
            columns = ("lhs", "relation", "rhs", "weight")
            if not all(np.array_equal(getattr(mine, name), getattr(theirs, name)) for name in columns):
                return f"it has other edges in {split}"
    return None


def _initial_differs(new: Sequence[InitialVectors], old: EntityTable, store: ObjectStore) -> bool:
    if len(new) != len(old.initial) or any(
        len(mine.offsets) != theirs.rows for mine, theirs in zip(new, old.initial, strict=True)
    ):
        return True
    for mine, file, rows in zip(new, old.initial, old.counts, strict=False):
        offsets, vectors = read_initial(store, file, rows=rows, dimension=mine.vectors.shape[1])
        if not (np.array_equal(offsets, mine.offsets) and np.array_equal(vectors, mine.vectors)):
            return True
    return False
