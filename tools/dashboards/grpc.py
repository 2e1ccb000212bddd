"""gRPC: rate, errors and duration of every method, on both sides."""

from tools.dashboards.panels import Dashboard, Panel
from tools.dashboards.queries import quantile, rate

GRPC = Dashboard(
    uid="graphbed-grpc",
    title="Graphbed: gRPC",
    panels=(
        Panel(
            title="Calls answered",
            queries={"{{grpc_method}}": rate("grpc_server_handled_total", "grpc_method")},
            unit="cps",
        ),
        Panel(
            title="Calls answered with other codes than OK",
            queries={
                "{{grpc_method}} {{grpc_code}}": rate(
                    "grpc_server_handled_total", "grpc_method", "grpc_code", where='{grpc_code!="OK"}'
                )
                + " or vector(0)"
            },
            unit="cps",
        ),
        Panel(
            title="Servers: 99 of 100 calls take less than",
            queries={"{{grpc_method}}": quantile(0.99, "grpc_server_handling_seconds", "grpc_method")},
            unit="s",
        ),
        Panel(
            title="Calls made",
            queries={"{{grpc_method}}": rate("grpc_client_handled_total", "grpc_method")},
            unit="cps",
        ),
        Panel(
            title="Calls made that ended with other codes than OK",
            queries={
                "{{grpc_method}} {{grpc_code}}": rate(
                    "grpc_client_handled_total", "grpc_method", "grpc_code", where='{grpc_code!="OK"}'
                )
                + " or vector(0)"
            },
            unit="cps",
        ),
        Panel(
            title="Callers: 99 of 100 calls take less than",
            queries={"{{grpc_method}}": quantile(0.99, "grpc_client_handling_seconds", "grpc_method")},
            unit="s",
        ),
        Panel(
            title="Versions",
            queries={"": "count by (service, version, revision, python) (graphbed_build_info)"},
            kind="table",
            width=24,
        ),
    ),
)
