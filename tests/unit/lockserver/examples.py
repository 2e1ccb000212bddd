"""Small jobs on graphs that have no files, and trainers that store nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.graph.partition import Bucket, Partition
from graphbed.graph.schema import EdgeFile, EntityTable, GraphSchema, RelationEntry, StoredFile
from graphbed.storage import layout
from graphbed.storage.receipt import Receipt
from services.lockserver.plan import Plan
from services.lockserver.records import Lease

SHA256 = "0" * 64


def stored(rows: int) -> StoredFile:
    return StoredFile(key="-", size=1, sha256=SHA256, rows=rows)


def grid(lhs: int, rhs: int, edges: int = 10) -> dict[Bucket, int]:
    """Every bucket of a grid, with as many edges in each."""
    return {Bucket(i, j): edges for i in range(lhs) for j in range(rhs)}


def make_schema(
    counts: Mapping[str, Iterable[int]],
    relations: Iterable[tuple[str, str, str]],
    edges: Mapping[Bucket, int],
    name: str = "g",
) -> GraphSchema:
    """A graph with `counts` entities in each partition of each type, and `edges` in each bucket."""
    return GraphSchema(
        name=name,
        seed=0,
        entities={name: EntityTable(partitions=tuple(map(stored, rows))) for name, rows in counts.items()},
        relations=tuple(RelationEntry(name=name, lhs=lhs, rhs=rhs) for name, lhs, rhs in relations),
        relation_file=stored(1),
        splits={
            "train": tuple(EdgeFile(lhs=b.lhs, rhs=b.rhs, file=stored(rows)) for b, rows in edges.items()),
        },
        weighted=False,
    )


def make_config(schema: GraphSchema, **changes: Any) -> JobConfig:
    """A job on `schema` with one entry for each relation; `changes` replace top-level keys."""
    document: dict[str, Any] = {
        "job": "j",
        "graph": schema.name,
        "entities": {name: {"num_partitions": len(table.partitions)} for name, table in schema.entities.items()},
        "relations": [{"name": r.name, "lhs": r.lhs, "rhs": r.rhs} for r in schema.relations],
        "dimension": 4,
        "num_epochs": 2,
    }
    return parse_job(yaml.safe_dump({**document, **changes}), source="test")


def square_schema(partitions: int, rows: int = 7) -> GraphSchema:
    """One entity type on both sides, all buckets full."""
    return make_schema({"e": [rows] * partitions}, [("r", "e", "e")], grid(partitions, partitions))


def square_plan(partitions: int, **changes: Any) -> Plan:
    schema = square_schema(partitions)
    return Plan.from_config(make_config(schema, **changes), schema)


def bipartite_schema(lhs: int, rhs: int) -> GraphSchema:
    """Users on the left, items on the right, all buckets full."""
    return make_schema({"user": [5] * lhs, "item": [3] * rhs}, [("likes", "user", "item")], grid(lhs, rhs))


def bipartite_plan(lhs: int, rhs: int, **changes: Any) -> Plan:
    schema = bipartite_schema(lhs, rhs)
    return Plan.from_config(make_config(schema, **changes), schema)


def receipts(plan: Plan, lease: Lease, **changes: Any) -> list[tuple[Partition, Receipt]]:
    """What a partition server would answer for the lease's new versions."""
    return [
        (
            start.partition,
            Receipt(
                **{
                    "key": layout.partition_version(plan.job, start.partition, lease.lease_id),
                    "size": 100,
                    "sha256": SHA256,
                    "rows": plan.rows[start.partition],
                    "dimension": plan.dimension,
                    **changes,
                }
            ),
        )
        for start in lease.partitions
    ]


def delta_receipt(plan: Plan, lease_id: str) -> Receipt | None:
    """What the parameter server would answer for the lease's delta; None if the job has no parameters."""
    if not plan.has_parameters:
        return None
    return Receipt(key=layout.parameter_delta(plan.job, lease_id), size=10, sha256=SHA256)
