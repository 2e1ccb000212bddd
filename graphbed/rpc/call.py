"""Calls with a deadline whose failures are the catalogue's errors."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from graphbed.errors import ServerUnreachable
from graphbed.rpc.errors import from_wire
from graphbed.rpc.protocol import PROTOCOL

Answer = TypeVar("Answer")

PAUSES_SECONDS = (0.1, 0.2, 0.4)
"""Before the second, third and fourth try of a call: enough for a connection that has just been lost."""


def call(
    method: Callable[..., Answer],
    request: Message | Callable[[], Iterator[Message]],
    *,
    seconds: float,
    service: str,
    address: str,
) -> Answer:
    """Call a method that gives one response; `request` is a message, or makes the messages anew for each try.

    Waits at most `seconds` in all. Tries again while the server is unavailable, so the method must be safe to repeat.
    Raises the error that the server raised, or ServerUnreachable(service, address) if it did not answer in time,
    TooLarge if a message was above the limit, ServerFailed for anything else.
    """
    tries = _Tries(seconds)
    while True:
        try:
            message = request() if callable(request) else request
            return method(message, timeout=tries.seconds_left(), metadata=PROTOCOL)
        except grpc.RpcError as error:
            if not tries.another(error):
                raise from_wire(error, service=service, address=address) from error
        except ValueError as error:
            raise ServerUnreachable(service=service, address=address) from error  # the channel was closed meanwhile


def call_stream(
    method: Callable[..., Iterable[Answer]],
    request: Message,
    *,
    seconds: float,
    service: str,
    address: str,
) -> Iterator[Answer]:
    """Call a method that gives a stream of responses; all of it within `seconds`. Raises as `call`, while iterated.

    Tries again as long as no response has come. Closing the iterator early ends the call.
    """
    tries = _Tries(seconds)
    while True:
        try:
            responses: Any = method(request, timeout=tries.seconds_left(), metadata=PROTOCOL)
        except ValueError as error:
            raise ServerUnreachable(service=service, address=address) from error  # the channel was closed meanwhile
        begun = False
        try:
            for response in responses:
                begun = True
                yield response
            return
        except grpc.RpcError as error:
            if begun or not tries.another(error):
                raise from_wire(error, service=service, address=address) from error
        finally:
            responses.cancel()


class _Tries:
    """The tries of one call, all within its deadline."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._pauses = iter(PAUSES_SECONDS)

    def seconds_left(self) -> float:
        return max(self._until - time.monotonic(), 0.0)

    def another(self, error: grpc.RpcError) -> bool:
        """Wait for the next try; False at once if there is none after this error."""
        ended: Any = error  # what gRPC raises at the client is the error and the ended call in one
        pause = next(self._pauses, None)
        if ended.code() is not grpc.StatusCode.UNAVAILABLE or pause is None or pause >= self.seconds_left():
            return False
        # Spread out, so that the clients of a restarted server do not all come at once.
        time.sleep(random.uniform(pause / 2, pause))
        return True
