"""Addresses: `host:port` taken apart and put together."""

from graphbed.errors import InputError


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`; an IPv6 host is written in brackets. Raises InputError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InputError(what=f"{address!r} is not an address; write host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def join_address(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
