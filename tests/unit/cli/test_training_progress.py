"""Progress of a training where nobody sees a bar."""

import io

from rich.console import Console

from graphbed.cli.training_progress import LINE_SECONDS, training_progress
from graphbed.clock import ManualClock
from graphbed.v1 import lockserver_pb2


def reply(*, epoch: int, edges: int, loss: float) -> lockserver_pb2.GetJobResponse:
    summary = lockserver_pb2.JobSummary(epoch=epoch, num_epochs=4, edges_done=edges, edges_total=4000)
    return lockserver_pb2.GetJobResponse(
        summary=summary, epochs=[lockserver_pb2.EpochInfo(epoch=epoch, edges=100, loss=loss * 100)]
    )


def test_a_file_gets_a_line_at_each_epochs_end_and_one_now_and_then():
    out, clock = io.StringIO(), ManualClock()
    with training_progress(Console(file=out, width=100), clock) as watch:
        watch(reply(epoch=0, edges=0, loss=5))
        clock.advance(1)
        watch(reply(epoch=0, edges=100, loss=5))
        assert out.getvalue() == ""
        clock.advance(LINE_SECONDS - 1)
        watch(reply(epoch=0, edges=600, loss=5))
        clock.advance(2)
        watch(reply(epoch=1, edges=1000, loss=4.5))
        watch(reply(epoch=1, edges=1000, loss=4.5))
    assert out.getvalue().splitlines() == [
        "epoch 1/4   15%  20 edges/s  loss 5.0000",
        "epoch 2/4   25%  200 edges/s  loss 4.5000",
    ]
