"""Following a job through whatever happens to the lock server."""

from collections.abc import Iterator

import pytest

from graphbed.cli.watching.follow import follow
from graphbed.errors import JobUnknown, ServerUnreachable
from graphbed.v1 import lockserver_pb2
from tests.unit.cli.watching.replies import lease, reply

AWAY = ServerUnreachable(service="lockserver", address="h:1")
END = reply(status=lockserver_pb2.JOB_STATUS_COMPLETED)


def views(*answers):
    """What is seen if the lock server answers so, one after the other."""
    left: Iterator[object] = iter(answers)

    def ask():
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return list(follow(ask, time_of_day=lambda: "12:00:00", pause=lambda: None))


def test_it_ends_when_the_job_has_ended():
    seen = views(reply(), reply(leases=[lease("a", "ann", [(0, 1)])]), END)
    assert len(seen) == 3
    assert next(event for _, event in seen[-1].events) == "ann leased 1 bucket of epoch 1"
    assert [event for _, event in seen[-1].events][-1] == "job completed"


def test_a_restart_of_the_lock_server_is_waited_for():
    seen = views(reply(manifest_sequence=3), AWAY, AWAY, END)
    assert [bool(view.waiting) for view in seen] == [False, True, True, False]
    assert "h:1" in seen[1].waiting
    assert seen[2].reply.manifest_sequence == 3
    events = [event for _, event in seen[-1].events]
    assert events[:2] == ["the lock server does not answer", "the lock server answers again"]


def test_a_lock_server_that_never_answered_is_an_error():
    with pytest.raises(ServerUnreachable):
        views(AWAY)


def test_a_job_that_is_gone_is_an_error():
    with pytest.raises(JobUnknown):
        views(reply(), JobUnknown(job="j"))


def test_a_paused_job_may_go_on():
    paused = reply(status=lockserver_pb2.JOB_STATUS_PAUSED)
    seen = views(reply(), paused, paused, reply(), END)
    assert [event for _, event in seen[-1].events] == ["job paused", "job running", "job completed"]
