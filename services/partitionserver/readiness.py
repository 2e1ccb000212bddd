"""Readiness: a partition server whose object store does not answer should get no calls."""

import threading
from collections.abc import Callable

from graphbed.clock import Clock
from graphbed.errors import GraphbedError
from graphbed.logs import get_logger
from graphbed.storage.objects import ObjectStore
from graphbed.storage.probe import require_answer

log = get_logger("graphbed.partitionserver")

PROBE_SECONDS = 5.0


class Readiness:
    """Asks the object store every few seconds, in a thread, and says whether it answers."""

    def __init__(self, store: ObjectStore, clock: Clock, tell: Callable[[bool], None]) -> None:
        self._store = store
        self._clock = clock
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; `tell` is not called after this."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        ready = True
        while not self._clock.wait(self._stopping, PROBE_SECONDS):
            answers = self._ask(log_failure=ready)
            if answers != ready and not self._stopping.is_set():
                ready = answers
                self._tell(ready)
                log.info("the object store answers again" if ready else "not ready", store=self._store.address)

    def _ask(self, *, log_failure: bool) -> bool:
        try:
            require_answer(self._store)
        except GraphbedError as error:
            if log_failure:
                log.warning("the object store fails", reason=error.reason, detail=str(error))
            return False
        return True
