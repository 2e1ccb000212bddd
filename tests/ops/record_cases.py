"""For each recording rule: series, and what the rule makes of them after half an hour."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.ops.alert_cases import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCase:
    """One recording rule over series that grow evenly."""

    record: str
    series: Series
    samples: Mapping[str, float]
    """Labels, as PromQL writes them → value."""


def _lease_seconds(within_10: int) -> dict[str, str]:
    """A trainer with ten leases a second, so many of them within 10 seconds and the others within 20."""
    grown = {"10": 60 * within_10, "20": 600, "+Inf": 600}
    return {
        f'graphbed_trainer_lease_seconds_bucket{{instance="a",le="{bound}"}}': f"0+{step}x60"
        for bound, step in grown.items()
    }


RECORD_CASES = (
    RecordCase(
        record="cluster:graphbed_trainer_edges:rate5m",
        series={
            'graphbed_trainer_edges_total{instance="a"}': "0+60x60",
            'graphbed_trainer_edges_total{instance="b"}': "0+120x60",
        },
        samples={"": 3.0},
    ),
    RecordCase(
        record="instance:graphbed_trainer_lease_seconds:p90_1h",
        series=_lease_seconds(within_10=9),
        samples={'{instance="a"}': 10.0},
    ),
    RecordCase(
        record="cluster:graphbed_trainer_lease_seconds:p50_1h",
        series=_lease_seconds(within_10=5),
        samples={"": 10.0},
    ),
    RecordCase(
        record="cluster:graphbed_lockserver_expirations_per_grant:ratio_rate30m",
        series={
            "graphbed_lockserver_lease_expirations_total": "0+60x60",
            'graphbed_lockserver_grants_total{outcome="granted"}': "0+240x60",
            'graphbed_lockserver_grants_total{outcome="wait"}': "0+600x60",
        },
        samples={"": 0.25},
    ),
    RecordCase(
        record="cluster:graphbed_object_store_failures:ratio_rate5m",
        series={
            'graphbed_object_store_requests_total{op="get",outcome="ok"}': "0+120x60",
            'graphbed_object_store_requests_total{op="get",outcome="missing"}': "0+60x60",
            'graphbed_object_store_requests_total{op="put",outcome="unavailable"}': "0+60x60",
        },
        samples={"": 0.25},
    ),
    RecordCase(
        record="tier:graphbed_partitionserver_cache_hits:ratio_rate5m",
        series={
            'graphbed_partitionserver_cache_hits_total{tier="memory"}': "0+180x60",
            'graphbed_partitionserver_cache_misses_total{tier="memory"}': "0+60x60",
            'graphbed_partitionserver_cache_hits_total{tier="disk"}': "0x60",
            'graphbed_partitionserver_cache_misses_total{tier="disk"}': "0x60",
        },
        samples={'{tier="memory"}': 0.75},
    ),
)
