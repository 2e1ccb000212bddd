"""Following a job: asking the lock server again and again, whatever happens to it meanwhile."""

from collections import deque
from collections.abc import Callable, Iterator

from graphbed.cli.watching.events import events_between
from graphbed.cli.watching.screen import View
from graphbed.errors import GraphbedError, ServerUnreachable, StoreUnavailable
from graphbed.v1 import lockserver_pb2

EVENTS_KEPT = 50
ENDED = (lockserver_pb2.JOB_STATUS_COMPLETED, lockserver_pb2.JOB_STATUS_CANCELLED)
"""A job that is paused may go on."""


def follow(
    ask: Callable[[], lockserver_pb2.GetJobResponse], *, time_of_day: Callable[[], str], pause: Callable[[], None]
) -> Iterator[View]:
    """A view after each answer, until the job has ended; while the lock server is away, the last one that says so.

    Raises what `ask` raises before its first answer, and after it whatever does not go away by waiting.
    """
    events: deque[tuple[str, str]] = deque(maxlen=EVENTS_KEPT)
    reply = ask()
    away = ""
    while True:
        yield View(reply=reply, events=tuple(events), clock=time_of_day(), waiting=away)
        if reply.summary.status in ENDED and not away:
            return
        pause()
        try:
            before, reply = reply, ask()
        except (ServerUnreachable, StoreUnavailable) as error:
            if not away:
                events.append((time_of_day(), "the lock server does not answer"))
            away = _one_line(error)
            continue
        if away:
            events.append((time_of_day(), "the lock server answers again"))
            away = ""
        events.extend((time_of_day(), event) for event in events_between(before, reply))


def _one_line(error: GraphbedError) -> str:
    return " ".join(str(error).split())
