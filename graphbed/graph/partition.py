"""Partitions and buckets: how a graph is cut."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A slice of the entities of one type."""

    entity_type: str
    index: int

    def __str__(self) -> str:
        return f"{self.entity_type}/{self.index}"


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """The edges whose lhs lies in partition `lhs` and whose rhs lies in partition `rhs` (of whatever type)."""

    lhs: int
    rhs: int

    def __str__(self) -> str:
        return f"{self.lhs}/{self.rhs}"
