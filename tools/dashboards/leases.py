"""Leases and checkpoints: grants, commits, ends of leases, manifests and the state store."""

from tools.dashboards.panels import Dashboard, Panel
from tools.dashboards.queries import of_job, quantile, rate

LEASES = Dashboard(
    uid="graphbed-leases",
    title="Graphbed: leases and checkpoints",
    by_job=True,
    panels=(
        Panel(
            title="Requests for work",
            queries={"{{outcome}}": rate("graphbed_lockserver_grants_total", "outcome")},
            unit="cps",
        ),
        Panel(
            title="Commits", queries={"{{outcome}}": rate("graphbed_lockserver_commits_total", "outcome")}, unit="cps"
        ),
        Panel(title="Live leases", queries={"{{job_name}}": of_job("leases_active")}),
        Panel(
            title="Leases ended without a commit",
            queries={
                "expired": rate("graphbed_lockserver_lease_expirations_total"),
                "stalled": rate("graphbed_lockserver_lease_stalls_total"),
                "{{reason}}": rate("graphbed_lockserver_releases_total", "reason"),
            },
            unit="cps",
        ),
        Panel(
            title="Renewals", queries={"{{outcome}}": rate("graphbed_lockserver_renewals_total", "outcome")}, unit="cps"
        ),
        Panel(
            title="Expirations per grant",
            queries={"ratio": "cluster:graphbed_lockserver_expirations_per_grant:ratio_rate30m or vector(0)"},
            unit="percentunit",
        ),
        Panel(title="Age of the newest manifest", queries={"{{job_name}}": of_job("manifest_age_seconds")}, unit="s"),
        Panel(
            title="Manifests",
            queries={
                "written": rate("graphbed_lockserver_manifests_total"),
                "failed": rate("graphbed_lockserver_manifest_failures_total"),
            },
            unit="cps",
        ),
        Panel(
            title="Failed settles", queries={"failed": rate("graphbed_lockserver_settle_failures_total")}, unit="cps"
        ),
        Panel(
            title="Generations begun",
            queries={"{{reason}}": "sum by (reason) (graphbed_lockserver_generations_total)"},
            description="By the lock servers that run now. Other reasons than new and restore: Redis lost something.",
        ),
        Panel(
            title="What new generations cost",
            queries={
                "leases that ended": "sum(graphbed_lockserver_generation_leases_void_total)",
                "commits that were forgotten": "sum(graphbed_lockserver_generation_commits_lost_total)",
            },
        ),
        Panel(title="Quarantined buckets", queries={"{{job_name}}": of_job("buckets_quarantined")}),
        Panel(
            title="State store: 99 of 100 calls are faster than",
            queries={"{{op}}": quantile(0.99, "graphbed_lockserver_state_store_seconds", "op")},
            unit="s",
        ),
        Panel(
            title="State store: failures",
            queries={"{{op}}": rate("graphbed_lockserver_state_store_errors_total", "op")},
            unit="cps",
        ),
        Panel(
            title="Changes that lost to another",
            queries={"conflicts": rate("graphbed_lockserver_state_conflicts_total")},
            description="Several lock servers, or several calls at once, change one job; the change is tried again.",
            unit="cps",
        ),
    ),
)
