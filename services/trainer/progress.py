"""Progress of the lease in hand: written by the kernels, read by the heartbeat; and the flag that stops the kernels."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from graphbed.model.kernel import Control
from graphbed.v1 import lockserver_pb2

_PHASES = {
    "fetch": lockserver_pb2.PHASE_FETCH,
    "train": lockserver_pb2.PHASE_TRAIN,
    "store": lockserver_pb2.PHASE_STORE,
    "commit": lockserver_pb2.PHASE_COMMIT,
    "wait": lockserver_pb2.PHASE_WAITING,
}


class ProgressBoard:
    """One lease's counters. Kernel threads write their own Control each; nobody else does."""

    def __init__(self) -> None:
        self._phase = lockserver_pb2.PHASE_FETCH
        self._waiting = False
        self._controls: list[Control] = []
        self._stopped = threading.Event()
        self._bytes = 0

    @property
    def finishing(self) -> bool:
        """Whether all edges are trained, so that it is worth some waiting."""
        return self._phase in (lockserver_pb2.PHASE_STORE, lockserver_pb2.PHASE_COMMIT)

    def enter(self, phase: str) -> None:
        self._phase = _PHASES[phase]

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Tell others that the lease waits for a server that is away, or for its parent, whatever its phase."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    def attach(self, controls: list[Control]) -> None:
        """Watch these controls from now on; they are stopped at once if the lease is lost already."""
        self._controls = controls
        if self._stopped.is_set():
            self.stop()

    def stop(self) -> None:
        """Make every kernel return at its next chunk."""
        self._stopped.set()
        for control in self._controls:
            control.stop[0] = 1

    def add_bytes(self, count: int) -> None:
        """Count bytes fetched or stored; called by the stages, one thread at a time."""
        self._bytes += count

    @property
    def edges(self) -> int:
        return sum(int(control.progress[0]) for control in self._controls)

    def message(self) -> lockserver_pb2.Progress:
        phase = lockserver_pb2.PHASE_WAITING if self._waiting else self._phase
        return lockserver_pb2.Progress(edges=self.edges, bytes=self._bytes, phase=phase)
