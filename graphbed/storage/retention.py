"""Retention: which manifests of a job are kept, and why; what each of them names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.chain import named_objects
from graphbed.storage.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What the job's configuration asks to keep."""

    keep_last: int
    """The newest so many manifests."""
    keep_every: int
    """The first manifest at or after every so many completed epochs; 0 = none for that reason."""
    keep_best: int = 0
    """So many manifests with the highest scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one manifest tells about objects."""

    sequence: int
    generation: int | None
    """None: the manifest cannot be read, so it tells nothing, and nobody can use it."""
    epochs: int
    """Completed by every bucket."""
    named: frozenset[str]
    """Keys of all objects that it needs."""
    passed: frozenset[str]
    """Keys of all objects that its commits made, most of them replaced by later commits of the same manifest."""

    @classmethod
    def by(cls, manifest: Manifest) -> Self:
        """What `manifest` tells."""
        passed = {
            layout.partition_version(manifest.job, Partition(*partition), commit.lease_id)
            for commit in manifest.commits
            for partition in commit.partitions
        } | {commit.parameters.key for commit in manifest.commits if commit.parameters}
        return cls(
            sequence=manifest.sequence,
            generation=manifest.generation,
            epochs=manifest.completed_epochs,
            named=frozenset(version.key for version in named_objects(manifest)),
            passed=frozenset(passed),
        )

    @classmethod
    def nothing(cls, sequence: int) -> Self:
        """What a manifest tells that cannot be read."""
        return cls(sequence=sequence, generation=None, epochs=0, named=frozenset(), passed=frozenset())


def reasons_to_keep(
    manifests: Iterable[tuple[int, int]],
    retention: Retention,
    pins: Mapping[int, Sequence[str]],
    scores: Mapping[int, float],
) -> dict[int, list[str]]:
    """Sequence → why that manifest is kept, for those that are; `manifests` are (sequence, completed epochs) ascending.

    `pins` are the names of the pins of each sequence; a pinned manifest is kept whatever else is true of it. `scores`
    say how good those are that were evaluated; of equal ones the newest is kept.
    """
    told = list(manifests)
    reasons: dict[int, list[str]] = {}
    for sequence, _ in told[-1:]:
        reasons.setdefault(sequence, []).append("newest")
    for sequence, _ in told[-retention.keep_last : -1]:
        reasons.setdefault(sequence, []).append("last")
    for sequence in _first_at_every(told, retention.keep_every):
        reasons.setdefault(sequence, []).append("every")
    scored = [(scores[sequence], sequence) for sequence, _ in told if sequence in scores]
    for _, sequence in sorted(scored, reverse=True)[: retention.keep_best]:
        reasons.setdefault(sequence, []).append("best")
    for sequence, names in pins.items():
        reasons.setdefault(sequence, []).extend(names)
    return reasons


def _first_at_every(manifests: Sequence[tuple[int, int]], every: int) -> list[int]:
    """The sequences of the first manifests at or after each multiple of `every` epochs."""
    first: dict[int, int] = {}
    for sequence, epochs in manifests if every else ():
        reached = epochs // every
        # A job that was restored to an earlier checkpoint reaches the same epochs once more.
        first = {multiple: kept for multiple, kept in first.items() if multiple <= reached}
        if reached:
            first.setdefault(reached, sequence)
    return sorted(first.values())
