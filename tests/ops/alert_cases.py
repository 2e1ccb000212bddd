"""For each alert: series that make it fire, when, with which labels; and series that do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Series = Mapping[str, str]
"""Name with labels → values, one a minute, in the notation of promtool."""

SERVER_BUILDS = {
    f'graphbed_build_info{{service="graphbed.v1.{name}"}}': "1x60"
    for name in ("LockServer", "PartitionServer", "ParamServer")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCase:
    """One alert between two worlds."""

    alert: str
    fires: Series
    at: str = "30m"
    labels: Sequence[Mapping[str, str]] = field(default_factory=lambda: [{}])
    """Beside the severity, of each instance of the alert."""
    not_yet: str | None = None
    """A moment of the first world at which it does not fire yet."""
    quiet: Series
    """A world in which it does not fire at `at`."""


JOB = {"job_name": "j"}


def _lease_seconds(instance: str, bucket: str) -> dict[str, str]:
    """A trainer whose leases, one a minute, all fall into the histogram's bucket `bucket` seconds."""
    bounds = ("10", "60", "600", "+Inf")
    reached = bounds.index(bucket)
    name = "graphbed_trainer_lease_seconds_bucket"
    return {
        f'{name}{{instance="{instance}",le="{bound}"}}': "0+1x120" if place >= reached else "0x120"
        for place, bound in enumerate(bounds)
    }


CASES = (
    AlertCase(
        alert="GraphbedNoProgress",
        fires={
            'graphbed_lockserver_buckets_pending{job_name="j"}': "4x60",
            'graphbed_lockserver_buckets_pending{job_name="paused"}': "4x60",
            'graphbed_lockserver_running{job_name="j"}': "1x60",
            'graphbed_lockserver_running{job_name="paused"}': "0x60",
            "graphbed_trainer_edges_total": "9x60",
        },
        at="40m",
        not_yet="10m",
        labels=[JOB],
        quiet={
            'graphbed_lockserver_buckets_pending{job_name="j"}': "4x60",
            'graphbed_lockserver_running{job_name="j"}': "1x60",
            "graphbed_trainer_edges_total": "9+1x60",
        },
    ),
    AlertCase(
        alert="GraphbedNoTrainers",
        fires={'graphbed_lockserver_jobs{status="running"}': "1x60"},
        at="6m",
        not_yet="4m",
        quiet={
            'graphbed_lockserver_jobs{status="running"}': "1x60",
            'graphbed_build_info{service="graphbed.v1.Trainer"}': "1x60",
        },
    ),
    AlertCase(
        alert="GraphbedLossRising",
        fires={'graphbed_lockserver_loss{job_name="j"}': "2-0.1x10 2x60"},
        at="60m",
        not_yet="20m",
        labels=[JOB],
        quiet={'graphbed_lockserver_loss{job_name="j"}': "2-0.01x60"},
    ),
    AlertCase(
        alert="GraphbedNotFinite",
        fires={"graphbed_trainer_nonfinite_total": "0x5 1x60"},
        at="10m",
        not_yet="4m",
        quiet={"graphbed_trainer_nonfinite_total": "1x60"},
    ),
    AlertCase(
        alert="GraphbedStraggler",
        fires={**_lease_seconds("a", "10"), **_lease_seconds("b", "10"), **_lease_seconds("c", "600")},
        at="60m",
        not_yet="10m",
        labels=[{"instance": "c"}],
        quiet={**_lease_seconds("a", "10"), **_lease_seconds("b", "10"), **_lease_seconds("c", "10")},
    ),
    AlertCase(
        alert="GraphbedLeasesExpiring",
        fires={
            "graphbed_lockserver_lease_expirations_total": "0+1x60",
            'graphbed_lockserver_grants_total{outcome="granted"}': "0+4x60",
        },
        at="40m",
        not_yet="10m",
        quiet={
            "graphbed_lockserver_lease_expirations_total": "0+1x60",
            'graphbed_lockserver_grants_total{outcome="granted"}': "0+20x60",
        },
    ),
    AlertCase(
        alert="GraphbedLeasesStalling",
        fires={"graphbed_lockserver_lease_stalls_total": "0+1x60"},
        not_yet="1m",
        quiet={"graphbed_lockserver_lease_stalls_total": "0x5 1x60"},
    ),
    AlertCase(
        alert="GraphbedBucketsQuarantined",
        fires={'graphbed_lockserver_buckets_quarantined{job_name="j"}': "0x5 2x60"},
        not_yet="4m",
        labels=[JOB],
        quiet={'graphbed_lockserver_buckets_quarantined{job_name="j"}': "0x60"},
    ),
    AlertCase(
        alert="GraphbedLeasesFailing",
        fires={'graphbed_lockserver_releases_total{reason="failed"}': "0+1x60"},
        not_yet="2m",
        quiet={'graphbed_lockserver_releases_total{reason="shutdown"}': "0+1x60"},
    ),
    AlertCase(
        alert="GraphbedCommitsLost",
        fires={'graphbed_lockserver_commits_total{outcome="lost"}': "0+1x60"},
        not_yet="2m",
        quiet={'graphbed_lockserver_commits_total{outcome="ok"}': "0+1x60"},
    ),
    AlertCase(
        alert="GraphbedTrainerRestarting",
        fires={
            'process_start_time_seconds{instance="t"}': "0 0 0 0 1 1 2 2 3 3 4 4 5 5x60",
            'graphbed_build_info{instance="t",service="graphbed.v1.Trainer"}': "1x60",
        },
        at="20m",
        not_yet="6m",
        labels=[{"instance": "t"}],
        quiet={
            'process_start_time_seconds{instance="l"}': "0 0 0 0 1 1 2 2 3 3 4 4 5 5x60",
            'graphbed_build_info{instance="l",service="graphbed.v1.LockServer"}': "1x60",
        },
    ),
    AlertCase(
        alert="GraphbedCheckpointStale",
        fires={
            'graphbed_lockserver_manifest_age_seconds{job_name="j"}': "0+60x60",
            'graphbed_lockserver_manifest_interval_seconds{job_name="j"}': "300x60",
            'graphbed_lockserver_commits_unrecorded{job_name="j"}': "3x60",
        },
        not_yet="18m",
        labels=[JOB],
        quiet={
            'graphbed_lockserver_manifest_age_seconds{job_name="j"}': "0+60x60",
            'graphbed_lockserver_manifest_interval_seconds{job_name="j"}': "300x60",
            'graphbed_lockserver_commits_unrecorded{job_name="j"}': "0x60",
        },
    ),
    AlertCase(
        alert="GraphbedManifestsFailing",
        fires={"graphbed_lockserver_manifest_failures_total": "0+1x60"},
        at="10m",
        not_yet="1m",
        quiet={"graphbed_lockserver_manifest_failures_total": "0x5 1x60"},
    ),
    AlertCase(
        alert="GraphbedManifestsDamaged",
        fires={"graphbed_lockserver_manifests_damaged_total": "0x5 1x60"},
        at="10m",
        not_yet="4m",
        quiet={"graphbed_lockserver_manifests_damaged_total": "1x60"},
    ),
    AlertCase(
        alert="GraphbedGenerationBegun",
        # One server saw it happen; the other began it when it started, before anybody looked.
        fires={
            'graphbed_lockserver_generations_total{instance="a",reason="store_changed"}': "0x5 1x60",
            'process_start_time_seconds{instance="a"}': "-86400x65",
            'graphbed_lockserver_generations_total{instance="b",reason="state_missing"}': "_x6 1x60",
            'process_start_time_seconds{instance="b"}': "_x6 360x60",
        },
        at="10m",
        not_yet="4m",
        quiet={
            'graphbed_lockserver_generations_total{instance="a",reason="restore"}': "0x5 1x60",
            'graphbed_lockserver_generations_total{instance="b",reason="state_missing"}': "1x65",
            'process_start_time_seconds{instance="a"}': "0x65",
            'process_start_time_seconds{instance="b"}': "-86400x65",
        },
    ),
    AlertCase(
        alert="GraphbedParametersUnsettled",
        fires={"graphbed_lockserver_settle_failures_total": "0+5x60"},
        at="15m",
        not_yet="4m",
        quiet={"graphbed_lockserver_settle_failures_total": "0+1x60"},
    ),
    AlertCase(
        alert="GraphbedParametersStale",
        fires={'graphbed_trainer_parameter_sync_failures_total{instance="t"}': "0+5x60"},
        at="15m",
        not_yet="4m",
        quiet={'graphbed_trainer_parameter_sync_failures_total{instance="t"}': "0x5 3x60"},
    ),
    AlertCase(
        alert="GraphbedTargetDown",
        fires={'up{job="trainer",instance="t"}': "0x60"},
        at="3m",
        not_yet="1m",
        labels=[{"job": "trainer", "instance": "t"}],
        quiet={'up{job="trainer",instance="t"}': "1x60"},
    ),
    AlertCase(
        alert="GraphbedServerAbsent",
        fires=dict(list(SERVER_BUILDS.items())[:2]),
        at="6m",
        not_yet="4m",
        labels=[{"service": "graphbed.v1.ParamServer"}],
        quiet=SERVER_BUILDS,
    ),
    AlertCase(
        alert="GraphbedCallsFailing",
        fires={'grpc_server_handled_total{grpc_service="s",grpc_method="m",grpc_code="INTERNAL"}': "0+1x60"},
        at="10m",
        not_yet="3m",
        labels=[{"grpc_service": "s", "grpc_method": "m"}],
        quiet={'grpc_server_handled_total{grpc_service="s",grpc_method="m",grpc_code="ABORTED"}': "0+1x60"},
    ),
    AlertCase(
        alert="GraphbedStateStoreFailing",
        fires={'graphbed_lockserver_state_store_errors_total{op="tag"}': "0+1x60"},
        at="5m",
        not_yet="1m",
        quiet={'graphbed_lockserver_state_store_errors_total{op="tag"}': "7x60"},
    ),
    AlertCase(
        alert="GraphbedStateStoreSlow",
        fires={
            'graphbed_lockserver_state_store_seconds_bucket{op="tag",le="0.5"}': "0x60",
            'graphbed_lockserver_state_store_seconds_bucket{op="tag",le="1"}': "0+9x60",
            'graphbed_lockserver_state_store_seconds_bucket{op="tag",le="+Inf"}': "0+9x60",
        },
        not_yet="8m",
        quiet={
            'graphbed_lockserver_state_store_seconds_bucket{op="tag",le="0.5"}': "0+9x60",
            'graphbed_lockserver_state_store_seconds_bucket{op="tag",le="1"}': "0+9x60",
            'graphbed_lockserver_state_store_seconds_bucket{op="tag",le="+Inf"}': "0+9x60",
        },
    ),
    AlertCase(
        alert="GraphbedObjectStoreFailing",
        fires={
            'graphbed_object_store_requests_total{op="get",outcome="unavailable"}': "0+1x60",
            'graphbed_object_store_requests_total{op="get",outcome="ok"}': "0+9x60",
        },
        at="10m",
        not_yet="4m",
        quiet={
            'graphbed_object_store_requests_total{op="get",outcome="missing"}': "0+1x60",
            'graphbed_object_store_requests_total{op="get",outcome="ok"}': "0+9x60",
        },
    ),
    AlertCase(
        alert="GraphbedVersionsCorrupt",
        fires={"graphbed_partitionserver_versions_corrupt_total": "0x5 1x60"},
        at="10m",
        not_yet="4m",
        quiet={"graphbed_partitionserver_versions_corrupt_total": "0x60"},
    ),
    AlertCase(
        alert="GraphbedVersionsRefused",
        fires={"graphbed_partitionserver_versions_refused_total": "0x5 1x60"},
        at="10m",
        not_yet="4m",
        quiet={"graphbed_partitionserver_versions_refused_total": "0x60"},
    ),
    AlertCase(
        alert="GraphbedCollectionsFailing",
        fires={"graphbed_lockserver_collection_failures_total": "0+1x60"},
        not_yet="2m",
        quiet={"graphbed_lockserver_collection_failures_total": "0x5 1x60"},
    ),
)
