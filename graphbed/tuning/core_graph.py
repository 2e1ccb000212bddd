"""Writing the core of an ingested graph as text files, which a job of its own then ingests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from graphbed.config.job import EdgeFiles, JobConfig
from graphbed.errors import InputError
from graphbed.evaluation.edges import SplitEdges, load_edges
from graphbed.evaluation.names import EntityNames
from graphbed.graph.schema import GraphSchema
from graphbed.storage.objects import ObjectStore
from graphbed.tuning.subset import Flags, Ids, core_of_size
from graphbed.whole_file import whole_file

# Shapes: E edges of a split, R relations, V entities of all types.

COLUMNS = ["lhs", "relation", "rhs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreGraph:
    """The core that settings are tried on."""

    k: int
    """Every entity of it has at least this many edge ends; 0 = the whole graph."""
    edges: int
    """Edges to train."""
    validation_edges: int
    files: dict[str, EdgeFiles]
    """What the trials ingest instead of the job's own files."""


def write_core(
    config: JobConfig, store: ObjectStore, schema: GraphSchema, folder: Path, *, split: str, most_edges: int
) -> CoreGraph:
    """Write the core of at most about `most_edges` training edges, and the edges of `split` within it.

    Edge weights are left out: the trials are compared by rank. Raises InputError if the graph has no `split`, or none
    of its edges lies in the core.
    """
    train, valid = load_edges(store, schema, ["train"]), load_edges(store, schema, [split])
    lhs_E, rhs_E = _everywhere(schema, train)
    k, core_E = core_of_size(lhs_E, rhs_E, most_edges)
    present_V = np.zeros(sum(sum(table.counts) for table in schema.entities.values()), bool)
    present_V[lhs_E[core_E]] = present_V[rhs_E[core_E]] = True
    valid_lhs_E, valid_rhs_E = _everywhere(schema, valid)
    within_E = present_V[valid_lhs_E] & present_V[valid_rhs_E]
    if not within_E.any():
        raise InputError(
            what=f"no edge of {split} lies within the {k}-core of {config.graph}; take more with --core-edges"
        )
    folder.mkdir(parents=True, exist_ok=True)
    names = EntityNames.load(store, schema)
    files = {}
    for name, edges, kept_E in (("train", train, core_E), (split, valid, within_E)):
        path = folder / f"{name}.tsv"
        _write(path, schema, names, edges, kept_E)
        files[name] = EdgeFiles(files=[str(path)], columns=COLUMNS)
    return CoreGraph(k=k, edges=int(core_E.sum()), validation_edges=int(within_E.sum()), files=files)


def _everywhere(schema: GraphSchema, edges: SplitEdges) -> tuple[Ids, Ids]:
    """int64 [E] of both sides: ids that are different for entities of different types."""
    bases, base = {}, 0
    for kind, table in schema.entities.items():
        bases[kind] = base
        base += sum(table.counts)
    lhs_R = np.array([bases[relation.lhs] for relation in schema.relations], np.int64)
    rhs_R = np.array([bases[relation.rhs] for relation in schema.relations], np.int64)
    return edges.lhs + lhs_R[edges.relation], edges.rhs + rhs_R[edges.relation]


def _write(path: Path, schema: GraphSchema, names: EntityNames, edges: SplitEdges, kept_E: Flags) -> None:
    """Tab-separated names, complete or not there."""
    relation_E = edges.relation[kept_E]
    table = pa.table(
        {
            "lhs": _names(schema, names, "lhs", edges.lhs[kept_E], relation_E),
            "relation": pa.array([relation.name for relation in schema.relations]).take(pa.array(relation_E)),
            "rhs": _names(schema, names, "rhs", edges.rhs[kept_E], relation_E),
        }
    )
    options = pacsv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with whole_file(path) as unfinished:
        pacsv.write_csv(table, unfinished, write_options=options)


def _names(schema: GraphSchema, names: EntityNames, side: str, entity_E: Ids, relation_E: Any) -> Any:
    kinds = list(schema.entities)
    starts = np.cumsum([0, *(len(names.by_type[kind]) for kind in kinds)])[:-1]
    of_relation_R = np.array([starts[kinds.index(getattr(relation, side))] for relation in schema.relations])
    everything = pa.array([name for kind in kinds for name in names.by_type[kind]])
    return everything.take(pa.array(entity_E + of_relation_R[relation_E]))
