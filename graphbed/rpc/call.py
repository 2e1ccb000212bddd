"""Calls with a deadline whose failures are the catalogue's errors."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import grpc

from graphbed.rpc.errors import from_wire

Answer = TypeVar("Answer")


def call(
    method: Callable[..., Answer],
    request: Any,
    *,
    seconds: float,
    service: str,
    address: str,
) -> Answer:
    """Call a method that gives one response; `request` is a message, or an iterator of messages.

    Waits at most `seconds`. Raises the error that the server raised, or ServerUnreachable(service, address) if it did
    not answer in time, TooLarge if a message was above the limit, ServerFailed for anything else.
    """
    try:
        return method(request, timeout=seconds)
    except grpc.RpcError as error:
        raise from_wire(error, service=service, address=address) from error


def call_stream(
    method: Callable[..., Iterable[Answer]],
    request: Any,
    *,
    seconds: float,
    service: str,
    address: str,
) -> Iterator[Answer]:
    """Call a method that gives a stream of responses; all of it within `seconds`. Raises as `call`, while iterated.

    Closing the iterator early ends the call.
    """
    responses: Any = method(request, timeout=seconds)
    try:
        yield from responses
    except grpc.RpcError as error:
        raise from_wire(error, service=service, address=address) from error
    finally:
        responses.cancel()
