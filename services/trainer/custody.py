"""Custody: the lease in hand, given back once, by the work itself or by whoever stops a trainer that is stuck."""

import secrets
import threading
from typing import TypeAlias

from graphbed.clients.lockserver import LockServerClient
from graphbed.errors import GraphbedError
from graphbed.logs import get_logger
from graphbed.v1 import lockserver_pb2

log = get_logger()

ReleaseReason: TypeAlias = "lockserver_pb2.ReleaseReason.ValueType"

_DETAIL_CHARACTERS = 500


class HeldLease:
    """One lease and the way to give it back. Safe for threads."""

    def __init__(self, locks: LockServerClient, *, trainer_id: str, lease_id: str) -> None:
        self._locks = locks
        self._trainer_id = trainer_id
        self.lease_id = lease_id
        self._lock = threading.Lock()
        self._released = False

    def release(self, reason: "ReleaseReason", detail: str) -> None:
        """Hand it back, unless somebody has; a commit that comes after this is refused."""
        with self._lock:
            if self._released:
                return
            self._released = True
        try:
            self._locks.release(
                self._trainer_id, secrets.token_hex(16), self.lease_id, reason, detail[:_DETAIL_CHARACTERS]
            )
        except GraphbedError as error:
            # Not told, the lock server finds out by itself after ttl.
            log.warning("release failed", lease=self.lease_id, error=str(error))
