"""Transitions: what a request does to a job's state. Functions of the state and the request; the caller brings ids."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from graphbed.errors import BadReceipt, LeaseLost
from graphbed.graph.partition import Bucket, Partition
from graphbed.storage import layout
from graphbed.storage.manifest import CommitRecord, EpochTotals, StoredVersion
from graphbed.storage.receipt import Receipt
from graphbed.v1 import lockserver_pb2
from services.lockserver.failures import alone, ended_by_failure, ended_in_peace, ended_in_silence, status_after
from services.lockserver.plan import Plan
from services.lockserver.receipts import check_parameters, check_versions
from services.lockserver.scheduler import Board, NoWork, choose
from services.lockserver.state import (
    Beat,
    Delta,
    Header,
    JobState,
    Lease,
    Progress,
    Reply,
    RequestKind,
    SealedDelta,
    StartVersion,
    Status,
    TrainerRecord,
)

REPLIES_KEPT = 6
"""Answers remembered for each trainer: three leases' worth of acquire and commit."""
TRAINERS_KEPT = 512
"""Trainers remembered for each job; those that were not heard from for longest are forgotten first."""

A_co = TypeVar("A_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[A_co]):
    """What a transition does and what it answers; no delta: it changes nothing."""

    delta: Delta | None
    answer: A_co


def acquire(state: JobState, plan: Plan, *, trainer: str, request_id: str, lease_id: str) -> Outcome[Lease | NoWork]:
    """Grant the best work there is as lease `lease_id`, or say why there is none.

    A request id that was granted before gets that grant again. A trainer holds one lease at a time: asking anew while
    one is live means that the trainer has forgotten it (it was restarted), so the old one is void.
    """
    repeated = state.reply_to(trainer, RequestKind.ACQUIRE, request_id)
    if repeated is not None and repeated.lease is not None:
        return Outcome(None, repeated.lease)
    forgotten = forget(state, plan, trainer)
    base = state.apply(forgotten) if forgotten else state
    if base.header.status is not Status.RUNNING:
        return Outcome(forgotten, NoWork.NOTHING_DUE)
    if plan.rules.max_trainers is not None and len(base.leases) >= plan.rules.max_trainers:
        return Outcome(forgotten, NoWork.TRAINERS_ENOUGH)
    if plan.rules.deterministic and base.leases:
        return Outcome(forgotten, NoWork.PARTITIONS_BUSY)
    board = _board(base, plan, trainer)
    work = choose(plan, board)
    if isinstance(work, NoWork):
        return Outcome(forgotten, work)
    lease = Lease(
        lease_id=lease_id,
        trainer=trainer,
        epoch=work.epoch,
        buckets=work.buckets,
        partitions=tuple(
            StartVersion(partition=partition, version=base.pointers.get(partition)) for partition in work.partitions
        ),
        likely_next=_likely_next(plan, board, work.buckets, work.partitions),
    )
    header, trainers = _remember(base, trainer, RequestKind.ACQUIRE, request_id, lease)
    delta = Delta(
        header=header,
        leases={lease_id: lease},
        beats={lease_id: Beat()},
        trainers=trainers,
    )
    return Outcome(forgotten.then(delta) if forgotten else delta, lease)


def renew(state: JobState, *, trainer: str, lease_id: str, progress: Progress) -> Delta:
    """Count a sign of life of the lease. Raises LeaseLost unless `trainer` holds it."""
    _held(state, trainer, lease_id)
    return Delta(beats={lease_id: Beat(renewals=state.beats[lease_id].renewals + 1, progress=progress)})


def commit(
    state: JobState,
    plan: Plan,
    *,
    trainer: str,
    request_id: str,
    lease_id: str,
    versions: Sequence[tuple[Partition, Receipt]],
    parameters: Receipt | None,
    edges: int,
    loss: float,
) -> Delta | None:
    """Move the lease's pointers, mark its buckets done and end it, all at once. None: it was done before.

    Raises LeaseLost unless `trainer` holds the lease, and BadReceipt unless the receipts are those it asks for.
    """
    if state.reply_to(trainer, RequestKind.COMMIT, request_id) is not None:
        return None
    lease = _held(state, trainer, lease_id)
    pointers = check_versions(plan, lease, versions)
    check_parameters(plan, lease, parameters)
    if not math.isfinite(loss):
        raise BadReceipt(what="the loss is not finite")
    done = dict.fromkeys(lease.buckets, lease.epoch + 1)
    # Nobody else can have finished a bucket of a live lease: they would have needed its partitions.
    assert all(state.done.get(bucket, 0) == lease.epoch for bucket in done), "a leased bucket was done by somebody else"
    header, trainers = _remember(state, trainer, RequestKind.COMMIT, request_id, None, last_commit=lease_id)
    number = header.next_commit
    header = replace(
        header,
        next_commit=number + 1,
        failed_in_a_row=0,
        status=status_after(state, plan, done),
    )
    record = CommitRecord(
        lease_id=lease_id,
        trainer_id=trainer,
        epoch=lease.epoch,
        buckets=tuple((bucket.lhs, bucket.rhs) for bucket in lease.buckets),
        partitions=tuple((start.partition.entity_type, start.partition.index) for start in lease.partitions),
        parameters=StoredVersion.from_receipt(parameters) if parameters else None,
        edges=edges,
        loss=loss,
    )
    return Delta(
        header=header,
        pointers=pointers,
        done=done,
        leases={lease_id: None},
        beats={lease_id: None},
        trainers=trainers,
        commits={number: record},
        deltas={number: SealedDelta(lease_id=lease_id, receipt=parameters)} if parameters else {},
        epochs={lease.epoch: _added(state.epochs.get(lease.epoch), lease.epoch, edges, loss)},
        failures={bucket: None for bucket in done if bucket in state.failures},
    )


def release(state: JobState, plan: Plan, *, trainer: str, request_id: str, lease_id: str, failure: str) -> Delta | None:
    """Hand the lease back; a `failure` that is not empty counts against its buckets and is kept for people.

    None: it was done before. Raises LeaseLost unless `trainer` holds the lease.
    """
    if state.reply_to(trainer, RequestKind.RELEASE, request_id) is not None:
        return None
    lease = _held(state, trainer, lease_id)
    header, trainers = _remember(state, trainer, RequestKind.RELEASE, request_id, None)
    remembered = Delta(header=header, trainers=trainers)
    now = state.apply(remembered)
    return remembered.then(ended_by_failure(now, plan, lease, failure) if failure else ended_in_peace(now, lease))


def expire(state: JobState, plan: Plan, lease_id: str, renewals_seen: int) -> Delta | None:
    """End a lease that was not renewed since `renewals_seen` were counted; None if it was, or is gone."""
    beat = state.beats.get(lease_id)
    if beat is None or beat.renewals != renewals_seen:
        return None
    return ended_in_silence(state, plan, state.leases[lease_id])


def standing(beat: Beat) -> Progress | Beat:
    """What must change lest a lease counts as stalled: waiting for a server that is away is no standstill."""
    return beat if beat.progress.phase == lockserver_pb2.PHASE_WAITING else beat.progress


def stall(state: JobState, plan: Plan, lease_id: str, standing_seen: Progress | Beat) -> Delta | None:
    """End a lease that is renewed and gets nowhere since it stood as it was seen; None if it got on, or is gone."""
    beat = state.beats.get(lease_id)
    if beat is None or standing(beat) != standing_seen:
        return None
    return ended_in_silence(state, plan, state.leases[lease_id])


def forget(state: JobState, plan: Plan, trainer: str) -> Delta | None:
    """End the leases that a trainer has forgotten, as its asking anew shows. None if there are none."""
    delta = Delta()
    for lease_id in state.leases_of(trainer):
        delta = delta.then(ended_in_silence(state.apply(delta), plan, state.leases[lease_id]))
    return delta if delta.leases else None


def drain(state: JobState, trainer: str, *, undo: bool) -> Delta | None:
    """Note that a trainer is to be given no new lease, or forget it. None if that is so already."""
    if (trainer in state.draining) is not undo:
        return None
    return Delta(draining={trainer: None if undo else True})


def void_leases(state: JobState, lease_ids: Sequence[str]) -> Delta | None:
    """End leases without a commit, through no fault of theirs; None if none of them lives."""
    gone: dict[str, None] = {lease_id: None for lease_id in lease_ids if lease_id in state.leases}
    return Delta(leases=gone, beats=gone) if gone else None


def _held(state: JobState, trainer: str, lease_id: str) -> Lease:
    lease = state.leases.get(lease_id)
    if lease is None or lease.trainer != trainer:
        raise LeaseLost(lease=lease_id)
    return lease


def _board(state: JobState, plan: Plan, trainer: str) -> Board:
    if plan.rules.deterministic:
        # Neither who asks nor what became of earlier leases may decide.
        return Board(done=state.done, num_epochs=state.header.num_epochs, trained=state.pointers, busy=(), at_hand=())
    record = state.trainers.get(trainer)
    last = record.last_commit if record else None
    at_hand = {
        partition
        for partition, receipt in state.pointers.items()
        if last is not None and receipt.key == layout.partition_version(plan.job, partition, last)
    }
    busy = {start.partition for lease in state.leases.values() for start in lease.partitions}
    return Board(
        done=state.done,
        num_epochs=state.header.num_epochs,
        trained=state.pointers,
        busy=busy,
        at_hand=at_hand,
        alone=alone(state, trainer),
    )


def _likely_next(
    plan: Plan, board: Board, buckets: Sequence[Bucket], partitions: Sequence[Partition]
) -> tuple[Partition, ...]:
    """What the trainer would be given if it came back right now with this lease committed."""
    done = {**board.done, **{bucket: board.done.get(bucket, 0) + 1 for bucket in buckets}}
    trained = {partition for partition in plan.rows if partition in board.trained} | set(partitions)
    following = choose(plan, replace(board, done=done, trained=trained, at_hand=set(partitions)))
    return () if isinstance(following, NoWork) else following.partitions


def _remember(
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
    )
    changed: dict[str, TrainerRecord | None] = {trainer: record}
    if trainer not in state.trainers and len(state.trainers) >= TRAINERS_KEPT:
        working = {live.trainer for live in state.leases.values()}
        idle = (name for name in state.trainers if name not in working)
        oldest = min(idle, key=lambda name: state.trainers[name].turn, default=None)
        if oldest is not None:
            changed[oldest] = None
    return header, changed


def _added(totals: EpochTotals | None, epoch: int, edges: int, loss: float) -> EpochTotals:
    before = totals or EpochTotals(epoch=epoch, edges=0, loss=0.0, leases=0)
    return EpochTotals(epoch=epoch, edges=before.edges + edges, loss=before.loss + loss, leases=before.leases + 1)
