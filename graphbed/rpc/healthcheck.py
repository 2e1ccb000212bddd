"""Ask a server whether it serves: `python -m graphbed.rpc.healthcheck HOST:PORT [SERVICE]` exits 0 if it does.

Containers run it every few seconds: keep what it imports small.
"""

import sys
from collections.abc import Sequence
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from graphbed.errors import GraphbedError
from graphbed.rpc.call import call
from graphbed.rpc.channel import open_channel


def is_serving(address: str, service: str = "", *, seconds: float = 5.0) -> bool:
    """Whether `service` ("" for the whole server) serves. Raises ServerUnreachable, InputError."""
    with open_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        reply = call(stub.Check, request, seconds=seconds, service=service or "server", address=address)
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def main(arguments: Sequence[str]) -> int:
    """0: serving; 1: not serving or not reachable; 2: wrong arguments."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write("usage: python -m graphbed.rpc.healthcheck HOST:PORT [SERVICE]\n")
        return 2
    try:
        serving = is_serving(*arguments)
    except GraphbedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("serving\n" if serving else "not serving\n")
    return 0 if serving else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
