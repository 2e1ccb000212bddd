"""Call facts: every line that is logged while a call is answered says whose call it is."""
# ruff: noqa: ARG002 - what surrounds a call is given its method and context, needed or not

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import grpc
from google.protobuf.message import Message

from graphbed import logs
from graphbed.rpc.interceptors import AroundCall

_KEYS = {"job": "job", "lease_id": "lease", "trainer_id": "trainer", "request_id": "request"}
"""Field of a request → key of a log line."""
_INSIDE = ("header", "slice")
"""Messages within requests that hold such fields."""
_LONGEST = 200
"""Of what a caller says about itself, so much is logged."""


def facts_of(message: Message) -> dict[str, str]:
    """What a request says of itself: job, lease, trainer and request id, where it has them."""
    fields = message.DESCRIPTOR.fields_by_name
    facts: dict[str, str] = {}
    for name in _INSIDE:
        if name in fields and message.HasField(name):
            facts |= facts_of(getattr(message, name))
    for name, key in _KEYS.items():
        if name in fields and (value := getattr(message, name)):
            facts[key] = str(value)[:_LONGEST]
    return facts


class FactsInterceptor(AroundCall):
    """Binds the facts of each request; of a stream, those of its first message."""

    def around(self, method: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        return logs.bound()

    def see(self, request: Any) -> Any:
        if not isinstance(request, Message):
            return _told(request)
        logs.bind(**facts_of(request))
        return request


def _told(messages: Iterator[Message]) -> Iterator[Message]:
    for number, message in enumerate(messages):
        if number == 0:
            logs.bind(**facts_of(message))
        yield message
