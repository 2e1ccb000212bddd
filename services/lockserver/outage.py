"""Outages: notices that the object store is away, so that no lease begins that could neither fetch nor store."""

from graphbed import logs
from graphbed.clock import Clock
from graphbed.errors import StoreDenied, StoreUnavailable
from graphbed.storage.objects import ObjectStore
from graphbed.storage.probe import require_answer

PERIOD_SECONDS = 2.0
"""How often the object store is asked whether it answers: one small request."""
LATE_SECONDS = 3.0
"""A store that has not answered for so long counts as away until it does: it may accept all and say nothing."""

log = logs.get_logger("graphbed.lockserver")


class Outage:
    """Whether the object store was away at the last look. Leases that live are renewed and committed meanwhile."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._away = False
        self._asked_at: float | None = None
        """When the question began that is open now. Monotonic seconds."""

    def is_on(self) -> bool:
        """Whether to grant nothing new."""
        asked_at = self._asked_at
        return self._away or (asked_at is not None and self._clock.monotonic() - asked_at > LATE_SECONDS)

    def tick(self) -> None:
        """Look once."""
        self._asked_at = self._clock.monotonic()
        try:
            require_answer(self._store)
        except (StoreUnavailable, StoreDenied) as error:
            if not self._away:
                log.warning("object store away: no new leases", error=str(error))
            self._away = True
        else:
            if self._away:
                log.info("object store back: leases begin again")
            self._away = False
        finally:
            self._asked_at = None
