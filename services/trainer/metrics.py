"""What a trainer tells Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from graphbed.counters import at_zero
from services.trainer.phase_seconds import PhaseSeconds


class TrainerMetrics:
    """The trainer's metrics, each declared once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.edges = Counter(
            "graphbed_trainer_edges_total",
            "Edges trained, committed or not.",
            registry=registry,
        )
        self.leases = at_zero(
            Counter(
                "graphbed_trainer_leases_total",
                "Leases by how they ended: committed, lost, released, failed.",
                ["outcome"],
                registry=registry,
            ),
            "committed",
            "lost",
            "released",
            "failed",
        )
        self.phases = PhaseSeconds(
            "graphbed_trainer_phase_seconds_total",
            "Seconds by phase: wait, fetch, train, store, commit. Those of two leases may pass at once.",
            ("wait", "fetch", "train", "store", "commit"),
            registry=registry,
        )
        self.lease_seconds = Histogram(
            "graphbed_trainer_lease_seconds",
            "Time from grant to commit.",
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200),
            registry=registry,
        )
        self.bytes = at_zero(
            Counter(
                "graphbed_trainer_bytes_total",
                "Bytes of partitions by direction: in, out.",
                ["direction"],
                registry=registry,
            ),
            "in",
            "out",
        )
        self.loss = Gauge("graphbed_trainer_loss", "Loss per edge of the last finished lease.", registry=registry)
        self.nonfinite = Counter(
            "graphbed_trainer_nonfinite_total", "Leases stopped by a NaN or an infinity.", registry=registry
        )
        self.renewals = at_zero(
            Counter(
                "graphbed_trainer_renewals_total",
                "Lease renewals by outcome: ok, lost, failed.",
                ["outcome"],
                registry=registry,
            ),
            "ok",
            "lost",
            "failed",
        )
        self.parameter_syncs = Counter(
            "graphbed_trainer_parameter_syncs_total", "Exchanges with the parameter server.", registry=registry
        )
        self.parameter_staleness = Histogram(
            "graphbed_trainer_parameter_staleness_seconds",
            "Age that the parameters had reached when they were exchanged again.",
            buckets=(0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
            registry=registry,
        )
        self.parameter_sync_failures = Counter(
            "graphbed_trainer_parameter_sync_failures_total",
            "Exchanges with the parameter server that failed; the next one carries what they did.",
            registry=registry,
        )
