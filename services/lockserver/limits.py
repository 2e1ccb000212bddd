"""Limits: what a configuration may not ask of a graph of this size."""

from collections.abc import Iterable

from graphbed.config.job import RelationConfig
from graphbed.errors import BadConfig
from graphbed.graph.schema import GraphSchema

MOST_CANDIDATES = 65_536
"""Entities that `all_negs` may score against each edge; their rows and a chunk's scores take some hundred megabytes."""


def require_limits(schema: GraphSchema, entries: Iterable[RelationConfig], *, groups: dict[int, int]) -> None:
    """Raise BadConfig if an entry's `all_negs` meets more than MOST_CANDIDATES entities in one lease.

    `groups` maps a number of partitions to that of the groups into which they are dealt.
    """
    for entry in entries:
        if not entry.all_negs:
            continue
        for name in sorted({entry.lhs, entry.rhs}):
            counts = schema.entities[name].counts
            held = min(len(counts), 2 * -(-len(counts) // groups[len(counts)]))
            most = sum(sorted(counts)[-held:])
            if most > MOST_CANDIDATES:
                raise BadConfig(
                    what=f"relations: {entry.name} has all_negs, and a lease may hold {most} entities of {name}; "
                    f"at most {MOST_CANDIDATES} can be negatives of every edge: use num_uniform_negs, "
                    "or more partitions and groups"
                )
