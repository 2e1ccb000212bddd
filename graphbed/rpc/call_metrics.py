"""Call metrics: gRPC calls counted and timed by method and code, on the side that answers and on the side that asks.

The names are those of the other languages' gRPC middleware, so that common dashboards fit.
"""

import time
from collections.abc import Callable
from typing import Any

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class ServerCalls:
    """What a server counts of the calls that it answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._handled = Counter(
            "grpc_server_handled_total",
            "Calls that a server ended, by service, method and status code.",
            ["grpc_service", "grpc_method", "grpc_code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from the start of a call to its end at the server, by service and method.",
            ["grpc_service", "grpc_method"],
            registry=registry,
            buckets=SECONDS,
        )

    def handled(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """Count one call of `method`, as in `/graphbed.v1.LockServer/Acquire`."""
        service, name = split_method(method)
        self._handled.labels(service, name, code.name).inc()
        self._seconds.labels(service, name).observe(seconds)

    def unknown(self) -> None:
        """Count a call of a method that the server does not have; what it was called is not believed."""
        self._handled.labels("other", "other", grpc.StatusCode.UNIMPLEMENTED.name).inc()


class ClientCalls:
    """What a process counts of the calls that it made; one for all its channels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._handled = Counter(
            "grpc_client_handled_total",
            "Calls that ended at the caller, each try for itself, by service, method and status code.",
            ["grpc_service", "grpc_method", "grpc_code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "grpc_client_handling_seconds",
            "Time from the start of a call to its end at the caller, by service and method.",
            ["grpc_service", "grpc_method"],
            registry=registry,
            buckets=SECONDS,
        )

    def around(self, method: str, make: Callable[[], Any]) -> Any:
        """Make a call and return it; it is counted when it ends."""
        started = time.perf_counter()
        call = make()
        service, name = split_method(method)

        def ended(done: Any) -> None:
            self._handled.labels(service, name, (done.code() or grpc.StatusCode.UNKNOWN).name).inc()
            self._seconds.labels(service, name).observe(time.perf_counter() - started)

        call.add_done_callback(ended)
        return call


class ClientCallsInterceptor(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamStreamClientInterceptor,  # type: ignore[type-arg]
):
    """Has every call of a channel counted."""

    def __init__(self, calls: ClientCalls) -> None:
        self._calls = calls

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._calls.around(client_call_details.method, lambda: continuation(client_call_details, request))

    intercept_unary_stream = intercept_unary_unary
    intercept_stream_unary = intercept_unary_unary  # type: ignore[assignment]
    intercept_stream_stream = intercept_unary_unary  # type: ignore[assignment]


def split_method(method: str | bytes) -> tuple[str, str]:
    """Service and name of `/graphbed.v1.LockServer/Acquire`."""
    path = method.decode() if isinstance(method, bytes) else method
    service, _, name = path.strip("/").rpartition("/")
    return service, name
