"""From text files to a graph in memory: names become ids, edges fall into buckets."""

# Shapes: E edges of a split, N names, R relations of the data.

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graphbed.config.job import ANY_RELATION, JobConfig
from graphbed.errors import InputError
from graphbed.graph.edges import EdgeArrays
from graphbed.graph.partition import Bucket
from graphbed.graph.schema import RelationEntry
from graphbed.ingest.initial import InitialVectors, read_vectors
from graphbed.ingest.placement import Placement, generator, look_up, place
from graphbed.ingest.text import RawEdges, read_text

Watch = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedGraph:
    """Everything that the files of a graph will hold."""

    name: str
    seed: int
    entities: Mapping[str, tuple[list[str], ...]]
    """Entity type → the names of each partition by offset."""
    initial: Mapping[str, tuple[InitialVectors, ...]]
    """Entity type → the initial vectors of each partition; types without a file of them are not in it."""
    relations: tuple[RelationEntry, ...]
    splits: Mapping[str, Mapping[Bucket, EdgeArrays]]
    """Split → its buckets that have edges, shuffled."""
    weighted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coded:
    """The edges of one split, names replaced by their place in the sorted list of all names."""

    lhs: NDArray[np.int64]
    relation: NDArray[np.int32]
    rhs: NDArray[np.int64]
    weight: NDArray[np.float32]


def prepare(config: JobConfig, watch: Watch) -> PreparedGraph:
    """Read all splits of `config` and cut them. Raises InputError, naming file and line where there is one."""
    raw = _read_splits(config, watch)
    relations = _relations(config, raw)
    names, splits = _encode(config, raw, relations)
    raw.clear()
    placements = _place(config, relations, splits, len(names))
    entities: dict[str, tuple[list[str], ...]] = {
        entity_type: tuple(names.take(pa.array(members)).to_pylist() for members in placement.members)
        for entity_type, placement in placements.items()
    }
    return PreparedGraph(
        name=config.graph,
        seed=config.seed,
        entities=entities,
        initial={
            entity_type: read_vectors(Path(entity.init_path), entities[entity_type], dimension=config.dimension)
            for entity_type, entity in config.entities.items()
            if entity.init_path
        },
        relations=relations,
        splits={split: _cut(config.seed, split, edges, relations, placements) for split, edges in splits.items()},
        weighted=any("weight" in files.columns for files in config.edges.values()),
    )


def _read_splits(config: JobConfig, watch: Watch) -> dict[str, list[RawEdges]]:
    if "train" not in config.edges:
        raise InputError(what="edges.train is missing from the configuration: there is nothing to ingest for training.")
    named = {relation.name for relation in config.relations}
    allowed = None if ANY_RELATION in named else named
    total = sum(len(files.files) for files in config.edges.values())
    raw: dict[str, list[RawEdges]] = {}
    for split, files in config.edges.items():
        for path in files.files:
            watch("reading", sum(map(len, raw.values())), total)
            raw.setdefault(split, []).append(read_text(Path(path), files.columns, relations=allowed))
    watch("reading", total, total)
    return raw


def _relations(config: JobConfig, raw: Mapping[str, Sequence[RawEdges]]) -> tuple[RelationEntry, ...]:
    """The relations of the data, sorted by name, each with the types of its entry."""
    found: set[str] = set()
    for part in (part for parts in raw.values() for part in parts):
        found.update([config.relations[0].name] if part.relation is None else pc.unique(part.relation).to_pylist())
    entries = {relation.name: relation for relation in config.relations}
    matched = [(name, entries.get(name) or entries[ANY_RELATION]) for name in sorted(found)]
    return tuple(RelationEntry(name=name, lhs=entry.lhs, rhs=entry.rhs) for name, entry in matched)


def _encode(
    config: JobConfig, raw: Mapping[str, Sequence[RawEdges]], relations: tuple[RelationEntry, ...]
) -> tuple[Any, dict[str, _Coded]]:
    """All names, sorted, and the edges by number."""
    parts = [part for some in raw.values() for part in some]
    chunks = [chunk for part in parts for side in (part.lhs, part.rhs) for chunk in side.chunks]
    names = pc.unique(pa.chunked_array(chunks, type=pa.string()))
    names = names.take(pc.sort_indices(names))
    relation_names = pa.array([relation.name for relation in relations], type=pa.string())

    def numbers(column: Any, known: Any, dtype: Any) -> NDArray[Any]:
        coded: NDArray[Any] = pc.index_in(column, value_set=known).to_numpy().astype(dtype)
        return coded

    def relation_of(part: RawEdges) -> NDArray[np.int32]:
        if part.relation is not None:
            return numbers(part.relation, relation_names, np.int32)
        only = pc.index_in(pa.scalar(config.relations[0].name), value_set=relation_names).as_py()
        return np.full(len(part), only, dtype=np.int32)

    return names, {
        split: _Coded(
            lhs=np.concatenate([numbers(part.lhs, names, np.int64) for part in some]),
            relation=np.concatenate([relation_of(part) for part in some]),
            rhs=np.concatenate([numbers(part.rhs, names, np.int64) for part in some]),
            weight=np.concatenate(
                [np.ones(len(part), dtype=np.float32) if part.weight is None else part.weight for part in some]
            ),
        )
        for split, some in raw.items()
    }


def _place(
    config: JobConfig, relations: tuple[RelationEntry, ...], splits: Mapping[str, _Coded], names: int
) -> dict[str, Placement]:
    placements = {}
    for entity_type, entity in config.entities.items():
        present = np.zeros(names, dtype=np.bool_)
        for side in ("lhs", "rhs"):
            of_type = np.array([getattr(relation, side) == entity_type for relation in relations])
            for edges in splits.values():
                present[getattr(edges, side)[of_type[edges.relation]]] = True
        placements[entity_type] = place(entity_type, present, partitions=entity.num_partitions, seed=config.seed)
    return placements


def _cut(
    seed: int, split: str, edges: _Coded, relations: tuple[RelationEntry, ...], placements: Mapping[str, Placement]
) -> dict[Bucket, EdgeArrays]:
    """The edges by bucket. Sorted before they are shuffled, so that the order of files and lines does not matter."""
    lhs_partition, lhs = look_up(placements, [entry.lhs for entry in relations], edges.relation, edges.lhs)
    rhs_partition, rhs = look_up(placements, [entry.rhs for entry in relations], edges.relation, edges.rhs)
    columns = EdgeArrays(lhs=lhs, relation=edges.relation, rhs=rhs, weight=edges.weight)
    order = np.lexsort((edges.weight, rhs, edges.relation, lhs, rhs_partition, lhs_partition))
    keys = np.stack([lhs_partition, rhs_partition])[:, order]
    starts = np.flatnonzero(np.r_[True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)])
    buckets = {}
    for start, stop in zip(starts, np.r_[starts[1:], len(order)], strict=True):
        bucket = Bucket(int(keys[0, start]), int(keys[1, start]))
        shuffled = generator(seed, "edges", split, bucket).permutation(order[start:stop])
        buckets[bucket] = columns.take(shuffled)
    return buckets
