"""Connections to S3 whose time limits count from the last progress, not for a whole body."""

from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

CONNECT_SECONDS = 2.0
IDLE_SECONDS = 30.0
"""How long the server may take no byte, or send none."""
_PIECE_BYTES = 256 << 10
# Retries cover the restart of a proxy, no more: whoever calls has a plan for a store that is down.
_RETRIES = urllib3.Retry(
    total=2,
    connect=1,
    backoff_factor=0.2,
    status_forcelist=[500, 502, 503, 504],
    raise_on_status=False,
    respect_retry_after_header=False,
)


def connection_pool(connections: int) -> urllib3.PoolManager:
    """A pool that keeps up to `connections` open per address."""
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=IDLE_SECONDS)
    pool = urllib3.PoolManager(timeout=timeout, retries=_RETRIES, maxsize=connections)
    pool.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return pool


class _InPieces(HTTPConnection):
    """Sends a large body piece by piece.

    Left to itself the whole body has to be sent within the limit for connecting: the socket's timeout is one for all
    of `sendall`, and the limit for reading is set after it.
    """

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(IDLE_SECONDS)
        if not isinstance(data, bytes | bytearray | memoryview):
            super().send(data)
            return
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            super().send(view[start : start + _PIECE_BYTES])


class _InPiecesTLS(_InPieces, HTTPSConnection):
    """The same over TLS."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _InPieces


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _InPiecesTLS
