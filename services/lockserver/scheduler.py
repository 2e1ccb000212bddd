"""The scheduler: which work a trainer gets next, as a function of the plan and the state alone."""

# ruff: noqa: N815 - shape suffixes
# Shapes: B buckets, P partitions, R partitions that one bucket needs, C candidates (leases that could be granted),
# M members (candidate and bucket that belong together), N needs (candidate and partition that belong together).

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

from graphbed.graph.partition import Bucket, Partition
from services.lockserver.arrays import Flags, Integers
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
    TRAINERS_ENOUGH = auto()
    """As many trainers work for the job as it may have."""
    STORE_AWAY = auto()
    """What a lease starts from could not be fetched now, nor stored what it makes."""
    DRAINING = auto()
    """The trainer is to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What the scheduler looks at: the state, as one trainer that asks for work sees it."""

    done: Mapping[Bucket, int]
    num_epochs: int
    trained: Collection[Partition]
    """Partitions that have a version."""
    busy: Collection[Partition]
    """Partitions of the live leases of others."""
    at_hand: Collection[Partition]
    """Partitions whose current version the trainer made itself, so that it probably need not fetch them."""
    alone: Mapping[Bucket, int] = field(default_factory=dict)
    """Buckets that share a lease with no other, each with how reluctantly the trainer is given it; 0 = as any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a lease may cover: every due bucket between two groups and within them, or one bucket alone."""

    epoch: int
    groups: tuple[int, ...]
    """None for a bucket alone."""
    buckets: tuple[Bucket, ...]
    partitions: tuple[Partition, ...]


def choose(plan: Plan, board: Board) -> Work | NoWork:
    """The best work that may be granted now, or why there is none.

    Allowed is what needs no busy partition and none with something due in an earlier epoch, and what touches a trained
    partition, so that all partitions end up in one common space; that last rule is waived while nobody works, for the
    very first lease and wherever it would otherwise block everybody. Under the plan's barrier only the lowest epoch in
    which anything is due is allowed. Among the allowed: least reluctance, then least input and output, then the lowest
    epoch, then the most edges, then a hash.
    """
    arrays = plan.arrays
    done_B = arrays.completed(board.done)
    due_B = done_B < board.num_epochs
    if not due_B.any():
        return NoWork.NOTHING_DUE
    blocked_B = _blocked(plan, board, done_B, due_B)
    rounds = [
        _candidates(plan, board, int(epoch), np.flatnonzero(due_B & (done_B == epoch)), blocked_B)
        for epoch in np.unique(done_B[due_B])[: 1 if plan.rules.barrier else None]
    ]
    if not any(len(found.names) for found in rounds):
        return NoWork.PARTITIONS_BUSY
    if any(found.joined_C.any() for found in rounds):
        rounds = [found.only(found.joined_C) for found in rounds]
    elif board.busy:
        return NoWork.FIRST_EPOCH
    return min((found.best(plan) for found in rounds if len(found.names)), key=lambda entry: entry[0])[1]


def _blocked(plan: Plan, board: Board, done_B: Integers, due_B: Flags) -> Flags:
    """bool [B]: buckets with a partition that is busy, or has something due in an earlier epoch."""
    needs_BR = plan.arrays.needs_BR
    oldest_P = np.full(len(plan.arrays.partitions), board.num_epochs, np.int64)
    np.minimum.at(oldest_P, needs_BR[due_B], done_B[due_B, None])
    busy_P = plan.arrays.among(board.busy)
    blocked_B: Flags = np.logical_or.reduce(busy_P[needs_BR] | (oldest_P[needs_BR] < done_B[:, None]), axis=1)
    return blocked_B


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """The leases of one epoch that are free."""

    epoch: int
    names: Integers
    """int64 [C]: place of each in `labels`."""
    labels: list[tuple[int, ...] | Bucket]
    """The groups and pairs of groups of the epoch, and the buckets that stand alone."""
    member_M: Integers
    bucket_M: Integers
    steps_C: Integers
    """Input and output, in `_IO_STEPS` of the largest partition."""
    edges_C: Integers
    reluctance_C: Integers
    """As in `Board.alone`."""
    joined_C: Flags
    """Whether it touches a trained partition."""

    def only(self, kept_C: Flags) -> "_Candidates":
        """Those that are kept."""
        return _Candidates(
            epoch=self.epoch,
            names=self.names[kept_C],
            labels=self.labels,
            member_M=self.member_M,
            bucket_M=self.bucket_M,
            steps_C=self.steps_C[kept_C],
            edges_C=self.edges_C[kept_C],
            reluctance_C=self.reluctance_C[kept_C],
            joined_C=self.joined_C[kept_C],
        )

    def best(self, plan: Plan) -> tuple[tuple[int, int, int, int, bytes], Work]:
        """The best of them and its rank; lower is better."""
        least = self.reluctance_C.min()
        willing_C = np.flatnonzero(self.reluctance_C == least)
        least_C = willing_C[self.steps_C[willing_C] == self.steps_C[willing_C].min()]
        most_edges = self.edges_C[least_C].max()
        equal_C = least_C[self.edges_C[least_C] == most_edges]
        hashes = {stable_hash(plan.job, self.epoch, self.labels[name]): int(name) for name in self.names[equal_C]}
        digest = min(hashes)
        rank = (int(least), int(self.steps_C[equal_C[0]]), self.epoch, -int(most_edges), digest)
        label = self.labels[hashes[digest]]
        places = np.sort(self.bucket_M[self.member_M == hashes[digest]])
        needed = np.unique(plan.arrays.needs_BR[places])
        return rank, Work(
            epoch=self.epoch,
            groups=() if isinstance(label, Bucket) else label,
            buckets=tuple(plan.arrays.buckets[place] for place in places),
            partitions=tuple(plan.arrays.partitions[place] for place in needed),
        )


def _candidates(plan: Plan, board: Board, epoch: int, due: Integers, blocked_B: Flags) -> _Candidates:
    """The free leases over the buckets at the places `due`, which are due in `epoch`."""
    arrays = plan.arrays
    alone = [int(place) for place in due if arrays.buckets[place] in board.alone] if board.alone else []
    shared = np.setdiff1d(due, alone, assume_unique=True)
    groups, member_M, bucket_M = _members(deal(plan, epoch), shared, arrays.lhs_B[shared], arrays.rhs_B[shared])
    labels: list[tuple[int, ...] | Bucket] = [*groups, *(arrays.buckets[place] for place in alone)]
    member_M = np.concatenate([member_M, np.arange(len(groups), len(labels))])
    bucket_M = np.concatenate([bucket_M, np.array(alone, np.int64)])
    reluctance = [*[0] * len(groups), *(board.alone[arrays.buckets[place]] for place in alone)]
    # A group without members of its own, because they all went to its pairs, is no candidate.
    present = np.bincount(member_M, minlength=len(labels)) > 0
    free = present & (np.bincount(member_M, blocked_B[bucket_M], len(labels)) == 0)
    free_M = free[member_M]
    member_M, bucket_M = member_M[free_M], bucket_M[free_M]
    # A partition counts once for a candidate, however many of its buckets need it.
    partitions = len(arrays.partitions)
    needs_N = np.unique(member_M[:, None] * partitions + arrays.needs_BR[bucket_M])
    needing_N, needed_N = needs_N // partitions, needs_N % partitions
    stored_P = arrays.bytes_P
    fetched_P = np.where(arrays.among(board.at_hand), 0, stored_P)
    moved = np.bincount(needing_N, (stored_P + fetched_P)[needed_N], len(labels))
    touched = np.bincount(needing_N, arrays.among(board.trained)[needed_N], len(labels))
    edges = np.bincount(member_M, arrays.edges_B[bucket_M], len(labels))
    names = np.flatnonzero(free)
    return _Candidates(
        epoch=epoch,
        names=names,
        labels=labels,
        member_M=member_M,
        bucket_M=bucket_M,
        steps_C=np.rint(_IO_STEPS * moved[names] / plan.largest_bytes).astype(np.int64),
        edges_C=edges[names].astype(np.int64),
        reluctance_C=np.array(reluctance, np.int64)[names],
        joined_C=touched[names] > 0,
    )


def _members(
    dealing: Dealing, due: Integers, lhs: Integers, rhs: Integers
) -> tuple[list[tuple[int, ...]], Integers, Integers]:
    """Sort due buckets into pairs of groups: the groups of each, and which bucket belongs to which.

    Where both sides are dealt as one, what lies within a group belongs to each pair that the group is in; alone it
    stands only if no such pair is due.
    """
    lhs_group, rhs_group = np.array(dealing.lhs)[lhs], np.array(dealing.rhs)[rhs]
    if dealing.shared:
        lhs_group, rhs_group = np.minimum(lhs_group, rhs_group), np.maximum(lhs_group, rhs_group)
    count = max(*dealing.lhs, *dealing.rhs) + 1
    codes, member_M = np.unique(lhs_group * count + rhs_group, return_inverse=True)
    pairs = [(int(code) // count, int(code) % count) for code in codes]
    if not dealing.shared:
        return list(pairs), member_M, due
    pairs_of: dict[int, list[int]] = {}
    for name, (low, high) in enumerate(pairs):
        if low != high:
            pairs_of.setdefault(low, []).append(name)
            pairs_of.setdefault(high, []).append(name)
    members, buckets = [member_M[lhs_group != rhs_group]], [due[lhs_group != rhs_group]]
    for name, (low, high) in enumerate(pairs):
        if low == high:
            within = due[member_M == name]
            targets = pairs_of.get(low, [name])
            members.append(np.repeat(np.array(targets, np.int64), len(within)))
            buckets.append(np.tile(within, len(targets)))
    groups: list[tuple[int, ...]] = [(low,) if low == high else (low, high) for low, high in pairs]
    return groups, np.concatenate(members), np.concatenate(buckets)
