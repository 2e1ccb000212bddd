"""The protocol's version: every call says which one it speaks, and a server refuses what it does not understand."""
# ruff: noqa: ARG002 - what surrounds a call is given its method and context, needed or not

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from graphbed.errors import ProtocolDiffers
from graphbed.rpc.interceptors import AroundCall

VERSION = 1
"""Raised whenever a server and a client of different versions would misunderstand each other."""

PROTOCOL = (("graphbed-protocol", str(VERSION)),)
"""What goes with every call."""


class ProtocolInterceptor(AroundCall):
    """Raises ProtocolDiffers for a caller of another version; who tells none, as a health probe, is let through."""

    def __init__(self, service: str) -> None:
        self._service = service

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        told = dict(context.invocation_metadata()).get(PROTOCOL[0][0], str(VERSION))
        if told != str(VERSION):
            raise ProtocolDiffers(service=self._service, mine=VERSION, theirs=str(told)[:20])
        yield
