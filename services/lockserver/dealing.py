"""Dealing: which partitions form a group in which epoch."""

import functools
import hashlib
from dataclasses import dataclass

from services.lockserver.plan import Plan, count_groups


@dataclass(frozen=True, slots=True)
class Dealing:
    """The groups of one epoch: the group of each partition index, for either side.

    `shared` says that both sides are one and the same, so that a lease covers any two groups in both directions;
    otherwise it covers one group of the lhs and one of the rhs.
    """

    lhs: tuple[int, ...]
    rhs: tuple[int, ...]
    shared: bool


def deal(plan: Plan, epoch: int) -> Dealing:
    """The dealing of `epoch`: a function of the plan's seed, its partition counts and the epoch alone."""
    lhs = _groups(plan.seed, epoch, "both" if plan.shared_sides else "lhs", plan.lhs.partitions, plan.num_groups)
    if plan.shared_sides:
        return Dealing(lhs=lhs, rhs=lhs, shared=True)
    rhs = _groups(plan.seed, epoch, "rhs", plan.rhs.partitions, plan.num_groups)
    return Dealing(lhs=lhs, rhs=rhs, shared=False)


@functools.lru_cache(maxsize=256)
def _groups(seed: int, epoch: int, side: str, partitions: int, num_groups: int | None) -> tuple[int, ...]:
    """Shuffle the partitions by hashes and deal them out in turn: sizes differ by one at most."""
    groups = count_groups(partitions, num_groups)
    shuffled = sorted(range(partitions), key=lambda index: stable_hash(seed, epoch, side, index))
    group_of = [0] * partitions
    for place, index in enumerate(shuffled):
        group_of[index] = place % groups
    return tuple(group_of)


def stable_hash(*parts: object) -> bytes:
    """32 bytes that depend on the parts alone, the same on every machine and in every version of Python."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
