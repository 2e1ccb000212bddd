"""The plan as arrays, so that 65,536 buckets are looked at in milliseconds."""

# ruff: noqa: N815 - shape suffixes
# Shapes: B buckets, P partitions, R partitions that one bucket needs (at most).

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from graphbed.graph.partition import Bucket, Partition

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArrays:
    """Buckets and partitions by their places in sorted order."""

    buckets: tuple[Bucket, ...]
    partitions: tuple[Partition, ...]
    place: Mapping[Partition, int]
    """Place of each partition."""
    lhs_B: Integers
    rhs_B: Integers
    edges_B: Integers
    needs_BR: Integers
    """Places of the partitions that each bucket needs; where it needs fewer than R, one is named again."""
    bytes_P: Integers

    @classmethod
    def build(
        cls,
        edges: Mapping[Bucket, int],
        resources: Mapping[Bucket, tuple[Partition, ...]],
        rows: Mapping[Partition, int],
        row_bytes: int,
    ) -> Self:
        """The arrays of a plan's tables."""
        buckets, partitions = tuple(sorted(edges)), tuple(sorted(rows))
        place = {partition: index for index, partition in enumerate(partitions)}
        width = max((len(needed) for needed in resources.values()), default=1)
        needs = [[place[p] for p in resources[bucket]] for bucket in buckets]
        return cls(
            buckets=buckets,
            partitions=partitions,
            place=place,
            lhs_B=np.array([bucket.lhs for bucket in buckets], np.int64),
            rhs_B=np.array([bucket.rhs for bucket in buckets], np.int64),
            edges_B=np.array([edges[bucket] for bucket in buckets], np.int64),
            needs_BR=np.array([row + row[:1] * (width - len(row)) for row in needs], np.int64).reshape(-1, width),
            bytes_P=np.array([rows[partition] * row_bytes for partition in partitions], np.int64),
        )

    def among(self, partitions: Iterable[Partition]) -> Flags:
        """bool [P]: which partitions are among these."""
        flags_P = np.zeros(len(self.partitions), np.bool_)
        flags_P[[self.place[partition] for partition in partitions]] = True
        return flags_P

    def completed(self, done: Mapping[Bucket, int]) -> Integers:
        """int64 [B]: epochs completed by each bucket."""
        return np.fromiter((done.get(bucket, 0) for bucket in self.buckets), np.int64, len(self.buckets))
