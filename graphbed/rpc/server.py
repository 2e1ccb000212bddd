"""A running server: one gRPC port with health, errors and metrics, and one port for /metrics."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from wsgiref.simple_server import WSGIServer

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry, start_http_server

from graphbed.errors import InputError
from graphbed.rpc.addresses import join_address, split_address
from graphbed.rpc.build_info import publish_build_info
from graphbed.rpc.call_facts import FactsInterceptor
from graphbed.rpc.call_metrics import ServerCalls
from graphbed.rpc.interceptors import ErrorInterceptor, MetricsInterceptor
from graphbed.rpc.limits import server_options
from graphbed.rpc.protocol_check import ProtocolInterceptor


class RunningServer:
    """A server that answers calls until it is stopped."""

    address: str
    """host:port that is really bound."""
    metrics_address: str | None
    """host:port of /metrics, or None."""

    def __init__(
        self,
        *,
        server: grpc.Server,
        checks: health.HealthServicer,
        service_name: str,
        address: str,
        metrics: "MetricsServer | None",
    ) -> None:
        self._server = server
        self._checks = checks
        self._service_name = service_name
        self._metrics = metrics
        self.address = address
        self.metrics_address = metrics.address if metrics else None

    def set_serving(self, serving: bool) -> None:
        """Say whether calls should be sent here, for the service and for the server as a whole."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        self._checks.set("", status)
        self._checks.set(self._service_name, status)

    def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, let running ones end for at most `grace_seconds`, and close both ports."""
        self._checks.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()
        if self._metrics is not None:
            self._metrics.stop()


class MetricsServer:
    """Answers GET /metrics with what `registry` holds."""

    address: str

    def __init__(self, listen: str, registry: CollectorRegistry) -> None:
        host, port = split_address(listen)
        try:
            # Typed as a bare server and thread; the port is that of its socket, which matters when 0 was asked for.
            started: tuple[WSGIServer, Thread] = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise InputError(what=f"cannot listen on {listen} for metrics: {error.strerror or error}") from error
        self._server, self._thread = started
        self.address = join_address(host, self._server.server_port)

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def start_server(
    *,
    service_name: str,
    register: Callable[[grpc.Server], None],
    listen: str,
    metrics_listen: str | None,
    registry: CollectorRegistry,
    max_workers: int = 32,
) -> RunningServer:
    """Listen on `listen` (host:port, port 0 takes a free one), serve what `register` adds, and say SERVING.

    `service_name` is the full name of the gRPC service, by which its health is asked for; "" stands for the whole
    server. Raises InputError if an address is malformed or taken.
    """
    host, wanted_port = split_address(listen)
    _require_bindable(listen, host, wanted_port)
    server = grpc.server(
        ThreadPoolExecutor(max_workers, thread_name_prefix=service_name),
        interceptors=[
            MetricsInterceptor(ServerCalls(registry)),
            FactsInterceptor(),
            ErrorInterceptor(service_name),
            ProtocolInterceptor(service_name),
        ],
        options=server_options(),
    )
    checks = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    register(server)
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise InputError(what=f"cannot listen on {listen}: {error}") from error
    publish_build_info(registry, service=service_name)
    metrics = MetricsServer(metrics_listen, registry) if metrics_listen else None
    server.start()
    running = RunningServer(
        server=server,
        checks=checks,
        service_name=service_name,
        address=join_address(host, port),
        metrics=metrics,
    )
    running.set_serving(True)
    return running


def _require_bindable(listen: str, host: str, port: int) -> None:
    """Raise InputError with the system's reason; gRPC has only a log line of its own for it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InputError(what=f"cannot listen on {listen}: {error.strerror or error}") from error
