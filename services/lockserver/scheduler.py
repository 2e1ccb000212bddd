"""The scheduler: which work a trainer gets next, as a function of the plan and the state alone."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from graphbed.graph.partition import Bucket, Partition
from services.lockserver.dealing import Dealing, deal, stable_hash
from services.lockserver.plan import Plan

_IO_STEPS = 8
"""Input and output are compared in eighths of the largest partition: a few entities more or less are no reason."""


class NoWork(Enum):
    """Why there is nothing to grant."""

    NOTHING_DUE = auto()
    PARTITIONS_BUSY = auto()
    """Work is due, but others hold its partitions or must finish an earlier epoch of them."""
    FIRST_EPOCH = auto()
    """Work is free, but touches no partition that has been trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the scheduler looks at: the state, as one trainer that asks for work sees it."""

    done: Mapping[Bucket, int]
    num_epochs: int
    trained: Container[Partition]
    """Partitions that have a version."""
    busy: Collection[Partition]
    """Partitions of the live leases of others."""
    at_hand: Container[Partition]
    """Partitions whose current version the trainer made itself, so that it probably need not fetch them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a lease may cover: every due bucket between two groups and within them."""

    epoch: int
    groups: tuple[int, ...]
    buckets: tuple[Bucket, ...]
    partitions: tuple[Partition, ...]


def choose(plan: Plan, board: Board) -> Work | NoWork:
    """The best work that may be granted now, or why there is none.

    Allowed is what needs no busy partition and none with something due in an earlier epoch, and what touches a trained
    partition, so that all partitions end up in one common space; that last rule is waived while nobody works, for the
    very first lease and wherever it would otherwise block everybody. Among the allowed: least input and output, then
    the lowest epoch, then the most edges, then a hash.
    """
    due = {bucket: board.done.get(bucket, 0) for bucket in plan.edges}
    due = {bucket: epoch for bucket, epoch in due.items() if epoch < board.num_epochs}
    if not due:
        return NoWork.NOTHING_DUE
    free = list(_free_work(plan, board, due))
    if not free:
        return NoWork.PARTITIONS_BUSY
    joined = [work for work in free if any(partition in board.trained for partition in work.partitions)]
    if not joined and board.busy:
        return NoWork.FIRST_EPOCH
    return min(joined or free, key=lambda work: _rank(plan, board, work))


@dataclass(slots=True)
class _Gathered:
    """The due buckets of one group or one pair of groups."""

    buckets: list[Bucket] = field(default_factory=list)
    blocked: bool = False


def _free_work(plan: Plan, board: Board, due: Mapping[Bucket, int]) -> Iterator[Work]:
    oldest: dict[Partition, int] = {}
    for bucket, epoch in due.items():
        for partition in plan.resources[bucket]:
            oldest[partition] = min(epoch, oldest.get(partition, epoch))
    for epoch in sorted(set(due.values())):
        dealing = deal(plan, epoch)
        gathered: dict[tuple[int, ...], _Gathered] = {}
        for bucket in (bucket for bucket, completed in due.items() if completed == epoch):
            entry = gathered.setdefault(_groups_of(dealing, bucket), _Gathered())
            entry.buckets.append(bucket)
            entry.blocked = entry.blocked or any(
                partition in board.busy or oldest[partition] < epoch for partition in plan.resources[bucket]
            )
        for groups, parts in _leases(dealing, gathered):
            if not any(part.blocked for part in parts):
                yield _work(plan, epoch, groups, [bucket for part in parts for bucket in part.buckets])


def _groups_of(dealing: Dealing, bucket: Bucket) -> tuple[int, ...]:
    lhs, rhs = dealing.lhs[bucket.lhs], dealing.rhs[bucket.rhs]
    if not dealing.shared:
        return lhs, rhs
    return (lhs,) if lhs == rhs else (min(lhs, rhs), max(lhs, rhs))


def _leases(
    dealing: Dealing, gathered: Mapping[tuple[int, ...], _Gathered]
) -> Iterator[tuple[tuple[int, ...], list[_Gathered]]]:
    """Join what lies within a group to each pair that the group is in; alone it stands only if no such pair is due."""
    if not dealing.shared:
        yield from ((groups, [part]) for groups, part in gathered.items())
        return
    paired = {group for groups in gathered if len(groups) > 1 for group in groups}
    for groups, part in gathered.items():
        if len(groups) > 1:
            yield groups, [part, *(gathered[(group,)] for group in groups if (group,) in gathered)]
        elif groups[0] not in paired:
            yield groups, [part]


def _work(plan: Plan, epoch: int, groups: tuple[int, ...], buckets: Iterable[Bucket]) -> Work:
    covered = tuple(sorted(buckets))
    needed = {partition for bucket in covered for partition in plan.resources[bucket]}
    return Work(epoch=epoch, groups=groups, buckets=covered, partitions=tuple(sorted(needed)))


def _rank(plan: Plan, board: Board, work: Work) -> tuple[int, int, int, bytes]:
    fetched = sum(plan.bytes(partition) for partition in work.partitions if partition not in board.at_hand)
    stored = sum(plan.bytes(partition) for partition in work.partitions)
    steps = round(_IO_STEPS * (fetched + stored) / plan.largest_bytes)
    edges = sum(plan.edges[bucket] for bucket in work.buckets)
    return steps, work.epoch, -edges, stable_hash(plan.job, work.epoch, work.groups)
