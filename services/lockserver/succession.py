"""Succession: which work a trainer may take up before its lease is committed, and who goes first."""

from dataclasses import replace

from services.lockserver.boards import board_after, board_of
from services.lockserver.failures import alone
from services.lockserver.plan import Plan
from services.lockserver.records import Lease, TrainerRecord
from services.lockserver.scheduler import Board, NoWork, Work, choose
from services.lockserver.state import JobState, Status

CYCLE_ANSWERS = 2
"""Answers that are remembered for one lease: its grant and its commit."""


def choose_successor(state: JobState, plan: Plan, parent: Lease) -> tuple[Board, Work] | NoWork:
    """What the parent's trainer would be given once the parent is committed, or why it gets nothing yet.

    A trainer holds one successor at a time. What has failed is granted alone, so it has none and is none. While another
    trainer waits for partitions there are none: whoever has no work at all comes first. A deterministic job has none,
    and under a barrier an epoch begins with what is committed only.
    """
    if parent.trainer in state.draining:
        return NoWork.DRAINING
    if state.header.status is not Status.RUNNING:
        return NoWork.NOTHING_DUE
    held = state.leases_of(parent.trainer)
    suspicious = alone(state, parent.trainer)
    if plan.rules.deterministic or held != [parent.lease_id] or any(bucket in suspicious for bucket in parent.buckets):
        return NoWork.PARTITIONS_BUSY
    if somebody_waits(state, parent.trainer):
        return NoWork.PARTITIONS_BUSY
    partitions = [start.partition for start in parent.partitions]
    board = board_after(board_of(state, plan, parent.trainer), parent.buckets, partitions)
    work = choose(plan, board)
    if isinstance(work, NoWork):
        return work
    if not work.groups or (plan.rules.barrier and work.epoch != parent.epoch):
        return NoWork.PARTITIONS_BUSY
    return board, work


def somebody_waits(state: JobState, trainer: str) -> bool:
    """Whether another trainer than this one has lately been told that others hold what it could train."""
    return any(name != trainer and is_waiting(state, record) for name, record in state.trainers.items())


def is_waiting(state: JobState, record: TrainerRecord) -> bool:
    """Whether a refusal is noted and fresh: counted in answers, for there is no clock in the state.

    Fresh for two leases of each trainer at work; one that waits is noted anew, one that died is soon forgotten.
    """
    patience = 2 * CYCLE_ANSWERS * len(state.trainers_at_work())
    return record.refused_at is not None and state.header.turns - record.refused_at < patience


def waiting(state: JobState, trainer: str) -> TrainerRecord | None:
    """The trainer's record once it is noted that it waits; None if that is noted already, and still half as fresh."""
    record = state.trainers.get(trainer, TrainerRecord())
    patience = CYCLE_ANSWERS * len(state.trainers_at_work())
    if record.refused_at is not None and state.header.turns - record.refused_at < patience:
        return None
    return replace(record, refused_at=state.header.turns)
