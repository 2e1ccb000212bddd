"""What happened between two answers of the lock server."""

from graphbed.cli.watching.events import events_between
from graphbed.v1 import lockserver_pb2
from tests.unit.cli.watching.replies import lease, reply


def test_a_lease_that_is_gone_was_committed_if_its_buckets_are_done():
    before = reply(leases=[lease("a", "ann", [(0, 1), (1, 0)]), lease("b", "bob", [(2, 3)])])
    after = reply(
        done={(0, 1): 1, (1, 0): 1},
        leases=[lease("c", "ann", [(0, 0)])],
        epochs=[lockserver_pb2.EpochInfo(epoch=0, edges=100, loss=50.0, leases=1)],
    )
    assert list(events_between(before, after)) == [
        "ann committed 2 buckets of epoch 1",
        "bob gave back or lost 1 bucket of epoch 1",
        "ann leased 1 bucket of epoch 1",
    ]


def test_leases_that_came_and_went_unseen_are_counted():
    after = reply(epochs=[lockserver_pb2.EpochInfo(epoch=0, edges=100, loss=50.0, leases=3)])
    assert list(events_between(reply(), after)) == ["3 more leases committed"]


def test_epochs_checkpoints_failures_and_the_end_are_told():
    after = reply(
        epoch=1,
        epochs=[lockserver_pb2.EpochInfo(epoch=0, edges=100, loss=50.0, leases=0)],
        quarantined=1,
        manifest_sequence=2,
        last_failure="ann: failed: no memory",
        status=lockserver_pb2.JOB_STATUS_COMPLETED,
    )
    assert list(events_between(reply(), after)) == [
        "epoch 1 completed, loss 0.5000 per edge",
        "1 bucket is quarantined",
        "checkpoint 2 written",
        "failure: ann: failed: no memory",
        "job completed",
    ]


def test_nothing_new_is_nothing_to_tell():
    answer = reply(leases=[lease("a", "ann", [(0, 1)])], last_failure="old")
    assert list(events_between(answer, answer)) == []
