"""The check of a caller's protocol: a server refuses what it does not understand."""
# ruff: noqa: ARG002 - what surrounds a call is given its method and context, needed or not

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from graphbed.errors import ProtocolDiffers
from graphbed.rpc import protocol
from graphbed.rpc.interceptors import AroundCall


class ProtocolInterceptor(AroundCall):
    """Raises ProtocolDiffers for a caller of another version; who tells none, as a health probe, is let through."""

    def __init__(self, service: str) -> None:
        self._service = service

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        told = dict(context.invocation_metadata()).get(protocol.PROTOCOL[0][0], str(protocol.VERSION))
        if told != str(protocol.VERSION):
            raise ProtocolDiffers(service=self._service, mine=protocol.VERSION, theirs=str(told)[:20])
        yield
