"""The guard of a lease: what every stage asks while it works."""

import threading
from collections.abc import Callable
from typing import TypeVar

from grpc import StatusCode

from graphbed.clock import Clock
from graphbed.errors import GraphbedError
from graphbed.logs import get_logger
from services.trainer.heartbeat import Heartbeat
from services.trainer.progress import ProgressBoard

log = get_logger()

Answer = TypeVar("Answer")

AGAIN_SECONDS = 0.5


class Stopping(GraphbedError):
    """The trainer was asked to stop; its lease is handed back."""


def is_away(error: GraphbedError) -> bool:
    """Whether the same call may succeed later: nobody answered, or whoever did could not reach its own store."""
    return error.code in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED)


class LeaseGuard:
    """Says whether the lease lives and work may go on, counts bytes, and waits while a server is away."""

    def __init__(
        self,
        heartbeat: Heartbeat,
        board: ProgressBoard,
        *,
        stopping: threading.Event,
        out_of_time: threading.Event,
        clock: Clock,
    ) -> None:
        """`stopping`: nothing new is to be begun; `out_of_time`: nothing can be finished any more."""
        self._heartbeat = heartbeat
        self._board = board
        self._stopping = stopping
        self._out_of_time = out_of_time
        self._clock = clock

    def check_lease(self) -> None:
        """Raise LeaseLost if the lease is gone."""
        self._heartbeat.check()

    def check(self) -> None:
        """Raise LeaseLost if the lease is gone, Stopping if the trainer is to stop."""
        self._heartbeat.check()
        if self._stopping.is_set():
            raise Stopping

    def leave_to_commit(self) -> None:
        """From now on the commit says whether the lease lived; raise LeaseLost if it is gone already."""
        self._heartbeat.check()
        self._heartbeat.leave_to_commit()

    def moved(self, count: int) -> None:
        """Tell of bytes fetched or stored."""
        self._board.add_bytes(count)

    def ask(self, action: Callable[[], Answer]) -> Answer:
        """The answer of `action`, which must be safe to repeat: what was trained is not thrown away for a restart.

        While a server is away it is asked again until the lease is lost or the trainer stops; when everything is
        trained, until there is no time left. Raises LeaseLost, Stopping, and what `action` raises.
        """
        try:
            return action()
        except GraphbedError as error:
            self._wait_after(error)
        with self._board.waiting():
            while True:
                try:
                    return action()
                except GraphbedError as error:
                    self._wait_after(error)

    def _wait_after(self, error: GraphbedError) -> None:
        if not is_away(error):
            raise error
        log.warning("waiting for a server", error=str(error))
        end = self._out_of_time if self._board.finishing else self._stopping
        stopped = self._clock.wait(end, AGAIN_SECONDS)
        self.check_lease()
        if stopped:
            raise Stopping
