"""Garbage: which manifests of a job are condemned, and which of its objects may go. A function of what was read."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Self

from graphbed.storage import layout
from graphbed.storage.retention import Retention, Told, reasons_to_keep
from services.lockserver.lifecycle import is_recorded
from services.lockserver.state import JobState, Status

GRACE_MANIFESTS = 2
"""So many manifests of the current generation must do without a version before it goes: one may be the last that a
state store of before knows, and what came after it is forgotten then."""
NOTHING_BEFORE = Retention(keep_last=1, keep_every=0)
"""Keeps the newest manifest, a tombstone, and what is pinned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """What a job's state needs, apart from its manifests."""

    generation: int
    names: frozenset[str]
    """Keys of the current versions, of the parameters, and of what live leases start from."""
    leases: frozenset[str]
    """Ids of the live leases: what they store is named after them, and may be committed at any moment."""
    ended: bool
    """The job has ended and its newest manifest says so: there are no commits and no manifests to wait for."""
    deleted: bool = False
    """And it is a tombstone: nobody goes back to a manifest before it."""

    @classmethod
    def by(cls, state: JobState) -> Self:
        """What `state` needs."""
        starts = (start.version for lease in state.leases.values() for start in lease.partitions)
        return cls(
            generation=state.header.generation,
            names=frozenset(receipt.key for receipt in (*state.receipts(), *starts) if receipt is not None),
            leases=frozenset(state.leases),
            ended=state.header.status.has_ended and not state.leases and is_recorded(state),
            deleted=state.header.status is Status.DELETED and is_recorded(state),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a collection of one job comes to."""

    condemned: tuple[int, ...] = ()
    """Manifests to be marked before anything goes."""
    garbage: tuple[str, ...] = ()
    """Keys that may go then."""
    kept: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Manifest → why it is kept, for those that are."""
    first_seen: Mapping[str, int]
    """Of each object that no manifest and no live lease tells of: the newest manifest when that was seen first."""
    live_bytes: int = 0
    """Of objects that the state or the newest manifest needs."""
    kept_bytes: int = 0
    """Of further objects that kept manifests need."""
    garbage_bytes: int = 0
    """Of all others, those included that wait for manifests to be written without them."""


def decide(
    *,
    manifests: Sequence[Told],
    marked: AbstractSet[int],
    pins: Mapping[int, Sequence[str]],
    retention: Retention,
    scores: Mapping[int, float],
    in_use: InUse,
    objects: Mapping[str, int],
    first_seen: Mapping[str, int],
) -> Decision:
    """What may be condemned and deleted of `objects` (key → bytes).

    `manifests`, ascending, are all that exist, but for those that are `marked` as condemned and not pinned; `scores`
    tell how good some of them are. To be read in this order: objects, state, manifests; so what a state has dropped is
    in a manifest that was read. Where the newest manifest is not of the state's generation, nothing may go.
    """
    newest = manifests[-1] if manifests else None
    if newest is None or newest.generation != in_use.generation:
        return Decision(first_seen=first_seen)
    current = [told.sequence for told in manifests if told.generation == in_use.generation]

    def outlived(sequence: int) -> bool:
        return sum(later > sequence for later in current) >= GRACE_MANIFESTS

    usable = [(told.sequence, told.epochs) for told in manifests if told.generation is not None]
    if in_use.deleted:
        retention = NOTHING_BEFORE
    kept = reasons_to_keep((entry for entry in usable if entry[0] not in marked), retention, pins, scores)
    condemned = {
        told.sequence
        for told in manifests
        if told.sequence not in marked and told.sequence not in kept and (in_use.deleted or outlived(told.sequence))
    }
    gone = condemned | (marked - pins.keys())
    named = frozenset[str]().union(*(told.named for told in manifests if told.sequence not in gone))
    told_by: dict[str, int] = {}
    for told in manifests:
        told_by.update(dict.fromkeys(told.named | told.passed, told.sequence))
    untold = {
        key: first_seen.get(key, newest.sequence)
        for key in objects
        if key not in told_by and layout.lease_of(key) not in in_use.leases
    }

    def may_go(key: str) -> bool:
        needed = key in named or key in in_use.names or layout.lease_of(key) in in_use.leases
        return not needed and (in_use.ended or outlived(told_by[key] if key in told_by else untold[key]))

    live = in_use.names | newest.named
    return Decision(
        condemned=tuple(sorted(condemned)),
        garbage=tuple(sorted(filter(may_go, objects))),
        kept=kept,
        first_seen=untold,
        live_bytes=sum(size for key, size in objects.items() if key in live),
        kept_bytes=sum(size for key, size in objects.items() if key in named and key not in live),
        garbage_bytes=sum(size for key, size in objects.items() if key not in named and key not in live),
    )
