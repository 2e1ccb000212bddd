"""Ledgers: what was committed along a chain of manifests, and what its end must say of that (I7, I16)."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from graphbed.graph.partition import Bucket
from graphbed.storage.manifest import CommitRecord, SkippedBucket
from graphbed.storage.parameter_file import unpack_tensors
from tests.simulation.values import NAME, sum_of

Epoch = tuple[Bucket, int]
"""A bucket in one epoch."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The commits from a job's beginning to some point."""

    leases: tuple[str, ...] = ()
    """Those that were committed, in order."""
    done: frozenset[Epoch] = frozenset()

    def then(self, commits: Iterable[CommitRecord]) -> "Ledger":
        """With further commits; fails if one of them repeats a bucket in an epoch."""
        leases, done = list(self.leases), set(self.done)
        for record in commits:
            assert record.lease_id not in leases, f"{record.lease_id} is committed twice"
            leases.append(record.lease_id)
            for lhs, rhs in record.buckets:
                entry = Bucket(lhs, rhs), record.epoch
                assert entry not in done, f"{entry} is committed twice"
                done.add(entry)
        return Ledger(tuple(leases), frozenset(done))

    def require_marks(self, marks: Mapping[Bucket, int], skipped: AbstractSet[Epoch]) -> None:
        """Fail unless each epoch that is behind a bucket was either committed or skipped, and nothing else was."""
        assert self.done.isdisjoint(skipped), f"committed and skipped: {set(self.done & skipped)}"
        behind = {(bucket, epoch) for bucket, epochs in marks.items() for epoch in range(epochs)}
        wrong = behind ^ (self.done | skipped)
        assert not wrong, f"marked and neither committed nor skipped, or the reverse: {sorted(wrong)[:5]}"


def skips(skipped: Iterable[SkippedBucket]) -> set[Epoch]:
    """Buckets that were given up, and in which epoch."""
    return {(entry.bucket, epoch) for entry in skipped for epoch in entry.epochs}


def require_snapshot(ledger: Ledger, objects: Mapping[str, bytes], base: str | None, deltas: Sequence[str]) -> None:
    """Fail unless the object `base` (None: the initial values) and the deltas of the leases `deltas` are the ledger's.

    Each lease once, in the order of their commits; what a base holds is told by its sum.
    """
    compacted = len(ledger.leases) - len(deltas)
    assert list(deltas) == list(ledger.leases[max(compacted, 0) :]), f"{len(deltas)} deltas, others than committed"
    if base is None:
        assert compacted == 0, f"the parameters lack {compacted} deltas that were committed"
        return
    found = unpack_tensors(objects[base], key=base, max_bytes=len(objects[base]))[NAME]
    expected = sum_of(ledger.leases[:compacted])
    assert np.array_equal(found, expected), f"{base} holds {found}, its {compacted} leases make {expected}"
