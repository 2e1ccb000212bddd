"""The screen fits, whatever is on it."""

import pytest
from google.protobuf.duration_pb2 import Duration

from graphbed.cli.watching.grid import DONE
from graphbed.cli.watching.screen import View, screen
from graphbed.v1 import lockserver_pb2
from tests.unit.cli.watching.replies import lease, reply

EVENTS = [("12:00:00", f"event {number} " + "x" * 200) for number in range(20)]


def crowded() -> lockserver_pb2.GetJobResponse:
    """256 partitions, 128 trainers with long names, thousands of epochs."""
    leases = [
        lease(f"{n}", f"trainer-deployment-7f9c8d-{n:03}.graphbed.svc.cluster.local", [(2 * n, 2 * n + 1)], done=50)
        for n in range(128)
    ]
    epochs = [lockserver_pb2.EpochInfo(epoch=n, edges=10, loss=5.0, leases=1) for n in range(1000)]
    return reply(
        partitions=256,
        leases=leases,
        epochs=epochs,
        edges_per_second=1_234_567.8,
        time_left=Duration(seconds=3 * 86_400 + 3_600),
        manifest_sequence=123_456,
    )


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 16), (200, 60)])
def test_it_fits_into_the_terminal(width: int, height: int):
    lines = screen(View(reply=crowded(), events=EVENTS, clock="12:34:56"), width=width, height=height)
    assert len(lines) <= height
    assert max(line.cell_len for line in lines) <= width
    assert "event 19" in lines[-1].plain


def test_it_tells_progress_pace_trainers_losses_and_events():
    answer = reply(
        done={(0, 0): 1},
        leases=[lease("a", "ann", [(0, 1), (1, 0)], done=45, edges=100)],
        epochs=[lockserver_pb2.EpochInfo(epoch=0, edges=100, loss=25.0, leases=1)],
        edges_per_second=1000.0,
        time_left=Duration(seconds=125),
        manifest_sequence=7,
    )
    lines = [
        line.plain for line in screen(View(reply=answer, events=EVENTS[:1], clock="12:34:56"), width=80, height=24)
    ]
    assert lines[0] == "j  running  epoch 1/3  1 trainer  1 lease  checkpoint 7".ljust(72) + "12:34:56"
    assert lines[1].endswith(" 25.0%  1,000 edges/s  2 min 05 s left")
    assert any(line.startswith(DONE * 2) for line in lines)
    row = next(line for line in lines if "ann" in line)
    assert row.split()[-4:] == ["train", "1", "2", "45%"]
    assert any("1: 0.2500" in line for line in lines)
    assert lines[-1].startswith("12:00:00 event 0")


def test_a_lock_server_that_is_away_is_said_in_place_of_the_numbers():
    view = View(reply=reply(), events=[], clock="", waiting="the lockserver at h:1 does not answer")
    lines = [line.plain for line in screen(view, width=80, height=24)]
    assert lines[1] == "waiting: the lockserver at h:1 does not answer"
    assert not any("edges/s" in line for line in lines)


def test_what_is_not_known_yet_is_said_to_be_so():
    text = "\n".join(line.plain for line in screen(View(reply=reply(), events=[], clock=""), width=80, height=24))
    assert "time left unknown" in text
    assert "nothing committed yet" in text
    assert "no lease is live" in text
    assert "checkpoint none" in text


def test_quarantined_buckets_are_not_overlooked():
    lines = screen(View(reply=reply(quarantined=2), events=[], clock=""), width=80, height=24)
    assert "2 quarantined" in lines[0].plain
