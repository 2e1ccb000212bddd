"""Generations of a job's state, as pure functions: when a new one must begin, and what it goes on with."""

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, StrEnum

from graphbed.errors import ManifestForeign
from graphbed.storage.chain import Link
from graphbed.storage.generation import Generation
from graphbed.storage.tombstone import is_tombstone
from services.lockserver.lifecycle import record_manifest
from services.lockserver.records import RequestKind, TrainerRecord
from services.lockserver.state import Header, JobState, Status


class Reason(StrEnum):
    """Why a generation begins."""

    NEW = "new"
    """The job has no state, no manifest and no generation yet."""
    STATE_MISSING = "state_missing"
    STORE_CHANGED = "store_changed"
    """The state store was restarted or replaced since the state's generation began."""
    GENERATION_OLD = "generation_old"
    """A newer generation was begun and left unfinished, or the state store was put back to an older one."""
    RESTORE = "restore"
    """Somebody asked for an older checkpoint."""


class Standing(Enum):
    """What a lock server may do with a state."""

    WORK = "work"
    CLAIM = "claim"
    WAIT = "wait"
    """Another lock server is beginning a generation right now."""
    STOP = "stop"
    """Another lock server went on in another state store; this one was left behind."""


def standing(
    header: Header, *, identity: str, newest: int, newest_claim: Generation | None, first_look: bool, in_grace: bool
) -> Standing:
    """Whether a state may be worked on by a server that reaches the state store `identity`.

    `newest` is the number of the job's newest generation, `newest_claim` what its object says, None if that cannot be
    read. `first_look`: this server has not worked on the job before. `in_grace`: it saw the newest generation appear so
    lately that its claimer, another server, may still be at it.
    """
    uninterrupted = header.state_identity == identity
    if header.generation == newest:
        return Standing.WORK if uninterrupted else Standing.CLAIM
    claimed_here = newest_claim is not None and newest_claim.state_identity == identity
    if claimed_here and in_grace:
        return Standing.WAIT
    if uninterrupted and not claimed_here and not first_look:
        return Standing.STOP
    return Standing.CLAIM


def adopted(state: JobState, newest: Link | None) -> JobState | None:
    """The state as one may go on with it, or None if it is older than the newest manifest or of another history.

    It takes note of a newest manifest that follows it directly: that one's writer died before it could. A tombstone
    follows only what says that the job is deleted; any other state is one that the state store was put back to.
    """
    if newest is None:
        return state if state.header.manifest_sequence == 0 else None
    if newest.manifest is None:
        # Damaged after it was noted: the state knows what it said.
        return state if state.header.manifest_sequence == newest.sequence else None
    if is_tombstone(newest.manifest) and state.header.status is not Status.DELETED:
        return None
    try:
        delta = record_manifest(state, newest.manifest, newest.sha256)
    except ManifestForeign:
        return None
    return state if delta is None else state.apply(delta)


def entered(state: JobState, *, generation: int, identity: str) -> JobState:
    """The state as a generation begins: nobody holds a lease. Commits stay answered, grants are forgotten."""
    return replace(
        state,
        header=replace(state.header, generation=generation, state_identity=identity),
        leases={},
        beats={},
        trainers={name: _without_grants(record) for name, record in state.trainers.items()},
    )


def commits_lost(before: Iterable[JobState], after: JobState, told: Iterable[str]) -> int:
    """How many commits of the states `before` are neither in the log of `after` nor in `told`, which manifests tell."""
    kept = {record.lease_id for record in after.commits.values()}.union(told)
    return len({record.lease_id for state in before for record in state.commits.values()} - kept)


def _without_grants(record: TrainerRecord) -> TrainerRecord:
    return replace(record, replies=tuple(reply for reply in record.replies if reply.kind is not RequestKind.ACQUIRE))
