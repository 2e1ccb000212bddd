"""Connections to S3: short time limits for small requests; those for large ones count from the last progress."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

CONNECT_SECONDS = 2.0
SMALL_BYTES = 256 << 10
"""Bodies up to this size are small: manifests, pins, generations, configurations. Even 100 kB/s move one in time."""
_PIECE_BYTES = 256 << 10
# Retries cover the restart of a proxy and a connection that died unnoticed, no more: whoever calls has a plan for a
# store that is down.
_RETRIES = urllib3.Retry(
    total=2,
    connect=1,
    read=1,
    backoff_factor=0.2,
    status_forcelist=[500, 502, 503, 504],
    raise_on_status=False,
    respect_retry_after_header=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a server may give no sign of life. Seconds; each request is tried twice."""

    answer_seconds: float = 5.0
    """Until its answer to a small request begins, and between two pieces of a small answer. Far below any sensible
    `lease.ttl_seconds`: a server that accepts and says nothing is noticed while leases live."""
    idle_seconds: float = 30.0
    """How long it may take no byte of a large body, send none, or be at work on what it was sent."""


def connection_pool(connections: int, patience: Patience) -> urllib3.PoolManager:
    """A pool that keeps up to `connections` open per address."""
    return _Pools(patience, retries=_RETRIES, maxsize=connections)


class _Pools(urllib3.PoolManager):
    """Gives each request the time that its kind may take."""

    def __init__(self, patience: Patience, **options: Any) -> None:
        super().__init__(**options)
        self._patience = patience

    def urlopen(  # type: ignore[override]  # as in its own class
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        # A POST completes an upload or deletes many objects: its body says nothing of the work.
        small = method != "POST" and len(options.get("body") or b"") <= SMALL_BYTES
        read = self._patience.answer_seconds if small else self._patience.idle_seconds
        options["timeout"] = urllib3.Timeout(connect=CONNECT_SECONDS, read=read)
        return super().urlopen(method, url, redirect, **options)

    def _new_pool(self, scheme: str, host: str, port: int, request_context: Any = None) -> urllib3.HTTPConnectionPool:
        pool = super()._new_pool(scheme, host, port, request_context)
        kind: Any = _InPiecesTLS if scheme == "https" else _InPieces
        pool.ConnectionCls = partial(kind, idle_seconds=self._patience.idle_seconds)  # type: ignore[assignment]
        return pool


class _InPieces(HTTPConnection):
    """Sends a large body piece by piece, and lets a large answer take its time once it has begun.

    Left to itself the whole body has to be sent within the limit for connecting: the socket's timeout is one for all
    of `sendall`, and the limit for reading is set after it.
    """

    def __init__(self, *arguments: Any, idle_seconds: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._idle_seconds = idle_seconds

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self._idle_seconds)
        if not isinstance(data, bytes | bytearray | memoryview):
            super().send(data)
            return
        view = memoryview(data)
        for start in range(0, len(view), _PIECE_BYTES):
            super().send(view[start : start + _PIECE_BYTES])

    def getresponse(self) -> Any:
        # An answer after which the connection closes takes the socket with it.
        sock = self.sock
        response = super().getresponse()
        if (response.length_remaining or 0) > SMALL_BYTES:
            sock.settimeout(self._idle_seconds)
        return response


class _InPiecesTLS(_InPieces, HTTPSConnection):
    """The same over TLS."""
