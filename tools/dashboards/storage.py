"""Partitions and object store: partition servers, their cache, and the object store."""

from tools.dashboards.panels import Dashboard, Panel
from tools.dashboards.queries import of_service, quantile, rate

STORAGE = Dashboard(
    uid="graphbed-storage",
    title="Graphbed: partitions and object store",
    panels=(
        Panel(
            title="Versions: time to give and to take",
            queries={
                "fetch, half": quantile(0.5, "graphbed_partitionserver_fetch_seconds"),
                "fetch, 99 of 100": quantile(0.99, "graphbed_partitionserver_fetch_seconds"),
                "store, half": quantile(0.5, "graphbed_partitionserver_store_seconds"),
                "store, 99 of 100": quantile(0.99, "graphbed_partitionserver_store_seconds"),
            },
            unit="s",
        ),
        Panel(
            title="Bytes from trainers (in) and to them (out)",
            queries={"{{direction}}": rate("graphbed_partitionserver_bytes_total", "direction")},
            unit="Bps",
        ),
        Panel(
            title="Cache hits",
            queries={"{{tier}}": "tier:graphbed_partitionserver_cache_hits:ratio_rate5m"},
            unit="percentunit",
            largest=1,
        ),
        Panel(
            title="Cache",
            queries={"{{tier}}": "sum by (tier) (graphbed_partitionserver_cache_bytes)"},
            unit="bytes",
            stacked=True,
        ),
        Panel(
            title="Versions that were wrong",
            queries={
                "refused": rate("graphbed_partitionserver_versions_refused_total"),
                "corrupt": rate("graphbed_partitionserver_versions_corrupt_total"),
            },
            unit="cps",
        ),
        Panel(
            title="Memory of the partition servers",
            queries={"{{instance}}": of_service("process_resident_memory_bytes", "PartitionServer")},
            unit="bytes",
        ),
        Panel(
            title="Object store: requests",
            queries={"{{op}}": rate("graphbed_object_store_requests_total", "op")},
            unit="cps",
        ),
        Panel(
            title="Object store: failures",
            queries={
                "{{outcome}}": rate(
                    "graphbed_object_store_requests_total",
                    "outcome",
                    where='{outcome=~"unavailable|denied|full|corrupt|other"}',
                )
            },
            unit="cps",
        ),
        Panel(
            title="Object store: 99 of 100 requests are faster than",
            queries={"{{op}}": quantile(0.99, "graphbed_object_store_request_seconds", "op")},
            unit="s",
        ),
        Panel(
            title="Object store: bytes read (in) and written (out)",
            queries={"{{direction}}": rate("graphbed_object_store_bytes_total", "direction")},
            unit="Bps",
            width=12,
        ),
        Panel(
            title="Object store: share of requests that fail",
            queries={"ratio": "cluster:graphbed_object_store_failures:ratio_rate5m"},
            unit="percentunit",
            width=12,
        ),
        Panel(
            title="Bytes of jobs in the object store",
            queries={"{{job_name}} {{kind}}": "max by (job_name, kind) (graphbed_lockserver_objects_bytes)"},
            description="As the last collection found them: live, kept for older checkpoints, or garbage.",
            unit="bytes",
            stacked=True,
        ),
        Panel(
            title="Garbage collected",
            queries={"bytes": rate("graphbed_lockserver_collected_bytes_total")},
            unit="Bps",
        ),
        Panel(
            title="Collections",
            queries={
                "objects deleted": rate("graphbed_lockserver_collected_objects_total"),
                "collections failed": rate("graphbed_lockserver_collection_failures_total"),
            },
            unit="cps",
        ),
    ),
)
