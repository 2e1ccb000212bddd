"""Parameter server: what the parameter server adds up, and how old trainers see it."""

from tools.dashboards.panels import Dashboard, Panel
from tools.dashboards.queries import of_service, quantile, rate

PARAMETERS = Dashboard(
    uid="graphbed-parameters",
    title="Graphbed: parameter server",
    panels=(
        Panel(
            title="Pushes", queries={"{{outcome}}": rate("graphbed_paramserver_pushes_total", "outcome")}, unit="cps"
        ),
        Panel(title="Pulls", queries={"pulls": rate("graphbed_paramserver_pulls_total")}, unit="cps"),
        Panel(
            title="Bytes", queries={"{{direction}}": rate("graphbed_paramserver_bytes_total", "direction")}, unit="Bps"
        ),
        Panel(
            title="Settles", queries={"{{outcome}}": rate("graphbed_paramserver_settles_total", "outcome")}, unit="cps"
        ),
        Panel(
            title="Deltas",
            queries={
                "sealed": rate("graphbed_paramserver_seals_total"),
                "committed": rate("graphbed_paramserver_committed_deltas_total"),
                "void": rate("graphbed_paramserver_void_deltas_total"),
            },
            unit="cps",
        ),
        Panel(
            title="Leases with deltas that are not permanent",
            queries={"{{instance}}": "graphbed_paramserver_live_leases"},
        ),
        Panel(
            title="Staleness: age of parameters at an exchange",
            queries={
                "half": quantile(0.5, "graphbed_trainer_parameter_staleness_seconds"),
                "99 of 100": quantile(0.99, "graphbed_trainer_parameter_staleness_seconds"),
            },
            unit="s",
        ),
        Panel(
            title="Exchanges",
            queries={
                "done": rate("graphbed_trainer_parameter_syncs_total"),
                "failed": rate("graphbed_trainer_parameter_sync_failures_total"),
            },
            unit="cps",
        ),
        Panel(
            title="Memory",
            queries={"{{instance}}": of_service("process_resident_memory_bytes", "ParamServer")},
            unit="bytes",
        ),
    ),
)
