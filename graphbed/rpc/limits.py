"""What both ends of a connection agree on: message size and keepalive."""

from typing import TypeAlias

MESSAGE_BYTES = 4 << 20
"""Largest message either way. Everything larger goes in a stream of pieces of 1 MiB."""

Options: TypeAlias = list[tuple[str, int | str]]

# A client may ping every 30 s, so the server tolerates one every 20 s; without that it ends the connection. Nor does it
# count those that come sooner: what was sent to a server that stood still reaches it all at once.
_KEEPALIVE_TIME_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000
_MIN_PING_INTERVAL_MS = 20_000


def common_options() -> Options:
    """Channel arguments of client and server."""
    return [
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", _KEEPALIVE_TIME_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def server_options() -> Options:
    """Channel arguments of a server."""
    return [
        *common_options(),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        ("grpc.http2.max_ping_strikes", 0),
        # A taken port must be an error, not a second server that gets half of the calls.
        ("grpc.so_reuseport", 0),
    ]
