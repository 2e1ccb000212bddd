"""Time limits of connections to S3: a slow network is not a dead one."""

import socket
import threading
import time
from collections.abc import Callable

import pytest

from graphbed.errors import StoreFull, StoreUnavailable
from graphbed.storage.s3 import S3Store
from graphbed.storage.s3_connections import CONNECT_SECONDS


class RawServer:
    """Accepts connections on a free port and lets `serve` do with each what it wants."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> S3Store:
        self._thread.start()
        endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        return S3Store(endpoint=endpoint, bucket="bucket", prefix="", access_key="k" * 8, secret_key="s" * 8)

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self._serve(connection)


def read_request(connection: socket.socket, pause_seconds: float = 0.0) -> int:
    """Read one request to its end; return the size of its body."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    head, _, body = head.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    size = int(lengths[0].split(b":")[1]) if lengths else 0
    taken = len(body)
    while taken < size:
        taken += len(connection.recv(128 << 10))
        time.sleep(pause_seconds)
    return taken


def test_a_body_may_take_longer_than_connecting() -> None:
    sizes: list[int] = []

    def slow(connection: socket.socket) -> None:
        sizes.append(read_request(connection, pause_seconds=0.02))
        connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')

    with RawServer(slow) as store:
        began = time.monotonic()
        store.create("a", bytes(16 << 20))
        assert time.monotonic() - began > CONNECT_SECONDS, "too fast to show anything"
    assert sizes == [16 << 20]


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("507 Insufficient Storage", "XMinioStorageFull", StoreFull),
        ("507 Insufficient Storage", "", StoreFull),
        ("409 Conflict", "QuotaExceeded", StoreFull),
        ("400 Bad Request", "SomethingNew", StoreUnavailable),
        ("503 Service Unavailable", "SlowDown", StoreUnavailable),
    ],
)
def test_what_the_server_answers_is_told_in_the_words_of_the_catalogue(
    status: str, code: str, error: type[Exception]
) -> None:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode() if code else b""

    def refuse(connection: socket.socket) -> None:
        read_request(connection)
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)

    with RawServer(refuse) as store, pytest.raises(error) as refused:
        store.put("a", b"x")
    assert store.address.removesuffix("/bucket") in str(refused.value)
    assert "s" * 8 not in str(refused.value)


def test_a_connection_that_breaks_in_the_middle_of_an_object_is_a_store_that_does_not_answer() -> None:
    def break_off(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)

    with RawServer(break_off) as store, pytest.raises(StoreUnavailable):
        store.get("a")


def test_a_conditional_write_that_meets_another_one_is_repeated() -> None:
    requests: list[int] = []

    def conflict_twice(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        body = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
        if len(requests) <= 2:
            head = b"HTTP/1.1 409 Conflict\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n" % len(body)
            connection.sendall(head + b"Connection: close\r\n\r\n" + body)
        else:
            connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')

    with RawServer(conflict_twice) as store:
        store.create("a", b"xyz")
    assert requests == [3, 3, 3]
