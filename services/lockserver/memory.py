"""Memory: what a job remembers of its trainers, so that a request that comes again gets its first answer."""

from dataclasses import replace

from services.lockserver.records import Lease, Reply, RequestKind, TrainerRecord
from services.lockserver.state import Header, JobState

REPLIES_KEPT = 6
"""Answers remembered for each trainer: three leases' worth of acquire and commit."""
TRAINERS_KEPT = 512
"""Trainers remembered for each job; those that were not heard from for longest are forgotten first."""


def remember(
    state: JobState,
    trainer: str,
    kind: RequestKind,
    request_id: str,
    lease: Lease | None,
    *,
    last_commit: str | None = None,
) -> tuple[Header, dict[str, TrainerRecord | None]]:
    """The header and the trainers' records once this answer is remembered."""
    header = replace(state.header, turns=state.header.turns + 1)
    old = state.trainers.get(trainer, TrainerRecord())
    reply = Reply(kind=kind, request_id=request_id, lease=lease)
    record = replace(
        old,
        last_commit=last_commit or old.last_commit,
        replies=(*old.replies, reply)[-REPLIES_KEPT:],
        turn=header.turns,
        refused_at=None if lease else old.refused_at,
    )
    return header, recorded(state, trainer, record)


def recorded(state: JobState, trainer: str, record: TrainerRecord) -> dict[str, TrainerRecord | None]:
    """The trainer's record in its place, and the one that must go if there are too many."""
    changed: dict[str, TrainerRecord | None] = {trainer: record}
    if trainer not in state.trainers and len(state.trainers) >= TRAINERS_KEPT:
        working = state.trainers_at_work()
        idle = (name for name in state.trainers if name not in working)
        oldest = min(idle, key=lambda name: state.trainers[name].turn, default=None)
        if oldest is not None:
            changed[oldest] = None
    return changed
