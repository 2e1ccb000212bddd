"""Sizing: what a job needs of memory, network, store and time, before any of it is spent."""

from dataclasses import dataclass

from graphbed.config.job import JobConfig
from graphbed.graph.partition import Bucket
from graphbed.graph.schema import GraphSchema
from graphbed.model.parameters import initial_parameters
from graphbed.model.relations import RelationGroups
from services.lockserver.dealing import deal
from services.lockserver.plan import Plan
from services.trainer.memory import lease_bytes

# Shapes: N negatives of a side, D dimension, G groups.

KEPT_TABLES = 4
"""Versions of the table that lie in the store at most times: the current ones, those that the two newest manifests
still name, and those that leases are storing."""

GRACE_MARGIN_SECONDS = 10.0
"""Beside the storing of a lease: noticing the signal, ending the kernel's slice, the commit itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """The figures of one job; bytes and seconds."""

    entities: int
    edges: int
    table_bytes: int
    """All embeddings and their optimizer state."""
    parameter_bytes: int
    lease_bytes: int
    """Peak memory of the largest lease in a trainer."""
    epoch_bytes: int
    """What all trainers fetch in one epoch; they store as much."""
    store_bytes: int
    """Versions that lie in the store at once, without the graph and what is kept on purpose."""
    leases: int
    """In one epoch."""
    most_trainers: int
    """That can work at once."""
    trainers: int
    edges_per_second: float
    """Of one trainer."""
    epoch_seconds: float
    job_seconds: float
    grace_seconds: float
    """How long a trainer should be given to end after SIGTERM: it may have to store a whole lease."""


def size_job(
    config: JobConfig, schema: GraphSchema, *, trainers: int, edges_per_second: float, bytes_per_second: float
) -> Sizing:
    """The figures of `config` on the graph with `trainers` trainers, each of which trains `edges_per_second` and moves
    `bytes_per_second` to and from the partition servers. Raises BadConfig where the two do not fit.

    Fetching, training and storing follow one another; leases are taken to be equally large in time, not in memory.
    """
    plan = Plan.from_config(config, schema)
    leases = _leases(plan)
    table_bytes = [
        [plan.bytes(partition) for partition in {needed for bucket in buckets for needed in plan.resources[bucket]}]
        for buckets in leases
    ]
    groups = RelationGroups.from_schema(config, schema)
    parameter_bytes = sum(values.nbytes for values in initial_parameters(config, groups).values())
    most_edges = max((sum(plan.edges[bucket] for bucket in buckets) for buckets in leases), default=0)
    largest = max(
        (lease_bytes(tables, edges=most_edges, parameter_bytes=parameter_bytes) for tables in table_bytes), default=0
    )
    epoch_bytes = sum(map(sum, table_bytes))
    most_trainers = _most_trainers(plan)
    working = min(trainers, most_trainers)
    epoch_seconds = (plan.edges_per_epoch / edges_per_second + 2 * epoch_bytes / bytes_per_second) / working
    return Sizing(
        entities=sum(plan.rows.values()),
        edges=plan.edges_per_epoch,
        table_bytes=sum(plan.bytes(partition) for partition in plan.rows),
        parameter_bytes=parameter_bytes,
        lease_bytes=largest,
        epoch_bytes=epoch_bytes,
        store_bytes=KEPT_TABLES * sum(plan.bytes(partition) for partition in plan.rows),
        leases=len(leases),
        most_trainers=most_trainers,
        trainers=working,
        edges_per_second=edges_per_second,
        epoch_seconds=epoch_seconds,
        job_seconds=epoch_seconds * config.num_epochs,
        grace_seconds=GRACE_MARGIN_SECONDS + max(map(sum, table_bytes), default=0) / bytes_per_second,
    )


def _leases(plan: Plan) -> list[list[Bucket]]:
    """The buckets of each lease of the first epoch; those within one group go with one of the leases that hold it."""
    dealing = deal(plan, 0)
    pairs: dict[tuple[int, int], list[Bucket]] = {}
    for bucket in plan.edges:
        pair = dealing.lhs[bucket.lhs], dealing.rhs[bucket.rhs]
        pairs.setdefault((min(pair), max(pair)) if dealing.shared else pair, []).append(bucket)
    if not dealing.shared:
        return list(pairs.values())
    across = {pair: buckets for pair, buckets in pairs.items() if pair[0] != pair[1]}
    for (group, other), buckets in pairs.items():
        if group == other:
            host = next((pair for pair in across if group in pair), (group, group))
            across.setdefault(host, []).extend(buckets)
    return list(across.values())


def _most_trainers(plan: Plan) -> int:
    """Leases that can be out at once: each takes two groups of one deal, or one of each side."""
    dealing = deal(plan, 0)
    if dealing.shared:
        return max(len(set(dealing.lhs)) // 2, 1)
    return min(len(set(dealing.lhs)), len(set(dealing.rhs)))
