"""Which entity lies in which partition at which offset."""

# Shapes: N names of the whole graph, P partitions of a type.

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbed.errors import InputError


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """Random numbers that depend on the seed and the purpose only, the same on every machine."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The places of the entities of one type."""

    partition: NDArray[np.int32]
    """[N] partition of each name; -1 if no entity of this type has the name."""
    offset: NDArray[np.int64]
    """[N] place inside the partition."""
    members: tuple[NDArray[np.int64], ...]
    """P arrays: the numbers of the names in each partition, by offset."""


def place(entity_type: str, present: NDArray[np.bool_], *, partitions: int, seed: int) -> Placement:
    """Deal the names that are `present` [N] into nearly equal partitions, by chance and the seed.

    The numbers of the names must follow their sorted order: then the result does not depend on the order of files or
    lines. Raises InputError if there are fewer entities than partitions.
    """
    numbers = np.flatnonzero(present)
    if len(numbers) < partitions:
        raise InputError(
            what=f"entities.{entity_type}.num_partitions is {partitions}, but the files hold {len(numbers)} "
            f"entities of the type {entity_type}; each partition needs one."
        )
    members = tuple(np.array_split(generator(seed, "entities", entity_type).permutation(numbers), partitions))
    partition = np.full(len(present), -1, dtype=np.int32)
    offset = np.full(len(present), -1, dtype=np.int64)
    for index, names in enumerate(members):
        partition[names] = index
        offset[names] = np.arange(len(names))
    return Placement(partition=partition, offset=offset, members=members)


def look_up(
    placements: Mapping[str, Placement], types: list[str], relation: NDArray[np.int32], name: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Partition and offset of each entity `name` [E], whose type is that of its relation: `types[relation]`."""
    kinds = sorted(set(types))
    kind_of_relation = np.array([kinds.index(kind) for kind in types])
    kind = kind_of_relation[relation]
    partition = np.empty(len(name), dtype=np.int32)
    offset = np.empty(len(name), dtype=np.int64)
    for number, entity_type in enumerate(kinds):
        rows: Any = kind == number if len(kinds) > 1 else slice(None)
        partition[rows] = placements[entity_type].partition[name[rows]]
        offset[rows] = placements[entity_type].offset[name[rows]]
    return partition, offset
