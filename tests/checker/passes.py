"""Passes: the grants that took something else while a bucket was due and free (I10)."""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.lockserver.plan import Plan, count_groups

FACTOR = 4
"""Passes that are allowed in any case, for each partition."""
EPOCHS = 3
"""Whose leases may come before a bucket: its own, the one before, and the one after."""

B = TypeVar("B")
P = TypeVar("P")


def most_passes(plan: Plan) -> int:
    """How often a bucket may be passed over in one epoch while it is free.

    The scheduler looks at input and output first, so nearly all of an epoch may come before a bucket, and before that
    what is left of the epoch before; and partitions that share nothing with its own may be one epoch further, but not
    two, because what has something due in an earlier epoch waits. So there are at most as many grants as three epochs
    have leases; where that is little, 4 P.
    """
    lhs, rhs = (count_groups(side.partitions, plan.num_groups) for side in (plan.lhs, plan.rhs))
    leases = max(lhs * (lhs - 1) // 2, 1) if plan.shared_sides else lhs * rhs
    return max(FACTOR * max(plan.lhs.partitions, plan.rhs.partitions), EPOCHS * leases)


@dataclass(frozen=True, slots=True)
class Grant(Generic[B, P]):
    """A lease as it is granted."""

    lease_id: str
    buckets: Collection[B]
    held: Collection[P]
    """Partitions of the leases that lived before it."""


Passes = Mapping[tuple[B, int], frozenset[str]]
"""Bucket and its next epoch → the leases that passed over it."""


def passed_over(
    before: Passes[B], needs: Mapping[B, Collection[P]], due: Mapping[B, int], grant: Grant[B, P]
) -> Passes[B]:
    """After a grant: it passes over each bucket of `due` (bucket → its next epoch) that it might have taken instead.

    What it takes counts anew, and so does what is not due in that epoch any more.
    """
    nothing = frozenset[str]()
    after = {}
    for bucket, epoch in due.items():
        if bucket in grant.buckets:
            continue
        is_free = not any(place in grant.held for place in needs[bucket])
        passes = before.get((bucket, epoch), nothing)
        after[bucket, epoch] = passes | {grant.lease_id} if is_free else passes
    return after


def without(passes: Passes[B], void: AbstractSet[str]) -> Passes[B]:
    """Without leases that came to nothing: what they were for is granted once more."""
    return {key: leases - void for key, leases in passes.items()}
