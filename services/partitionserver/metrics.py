"""What the partition server counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from graphbed.counters import at_zero

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0)


class PartitionServerMetrics:
    """The metrics of one partition server; labels are closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "graphbed_partitionserver"
        self._bytes = Counter(
            f"{prefix}_bytes_total",
            "Bytes of versions taken from trainers (in) and given to them (out).",
            ["direction"],
            registry=registry,
        )
        self.bytes_in = self._bytes.labels("in")
        self.bytes_out = self._bytes.labels("out")
        self.fetch_seconds = Histogram(
            f"{prefix}_fetch_seconds", "Time to give one version.", buckets=_SECONDS, registry=registry
        )
        self.store_seconds = Histogram(
            f"{prefix}_store_seconds",
            "Time to take one version and make it durable.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.cache_hits = at_zero(
            Counter(f"{prefix}_cache_hits_total", "Versions found in the cache, by tier.", ["tier"], registry=registry),
            "memory",
            "disk",
        )
        self.cache_misses = at_zero(
            Counter(
                f"{prefix}_cache_misses_total", "Versions not found in the cache, by tier.", ["tier"], registry=registry
            ),
            "memory",
            "disk",
        )
        self.cache_bytes = Gauge(f"{prefix}_cache_bytes", "Bytes in the cache, by tier.", ["tier"], registry=registry)
        self.versions_refused = Counter(
            f"{prefix}_versions_refused_total", "Versions that were refused for what is in them.", registry=registry
        )
        self.versions_corrupt = Counter(
            f"{prefix}_versions_corrupt_total",
            "Versions that the object store gave with other bytes than their receipt says.",
            registry=registry,
        )
