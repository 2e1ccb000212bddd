"""Boards: the state as the scheduler is shown it, for one trainer, now or once a lease of it is committed."""

from collections.abc import Sequence
from dataclasses import replace

from graphbed.graph.partition import Bucket, Partition
from graphbed.storage import layout
from services.lockserver.failures import alone
from services.lockserver.plan import Plan
from services.lockserver.scheduler import Board, NoWork, choose
from services.lockserver.state import JobState


def board_of(state: JobState, plan: Plan, trainer: str) -> Board:
    """The board for a trainer that asks for work; what it holds itself is not busy."""
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
    others = (lease for lease in state.leases.values() if lease.trainer != trainer)
    return Board(
        done=state.done,
        num_epochs=state.header.num_epochs,
        trained=state.pointers,
        busy={start.partition for lease in others for start in lease.partitions},
        at_hand=at_hand,
        alone=alone(state, trainer),
    )


def board_after(board: Board, buckets: Sequence[Bucket], partitions: Sequence[Partition]) -> Board:
    """The board once a lease of the same trainer over these is committed."""
    done = {**board.done, **{bucket: board.done.get(bucket, 0) + 1 for bucket in buckets}}
    return replace(board, done=done, trained={*board.trained, *partitions}, at_hand=set(partitions))


def likely_next(
    plan: Plan, board: Board, buckets: Sequence[Bucket], partitions: Sequence[Partition]
) -> tuple[Partition, ...]:
    """What the trainer would be given if it came back right now with this lease committed."""
    following = choose(plan, board_after(board, buckets, partitions))
    return () if isinstance(following, NoWork) else following.partitions
