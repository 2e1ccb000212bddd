"""The settings of a lock server process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from graphbed.rpc import environment


@dataclass(frozen=True, slots=True, kw_only=True)
class LockServerSettings:
    """How one lock server listens and keeps house."""

    listen: str = "127.0.0.1:7101"
    """host:port of gRPC; port 0 takes a free one."""
    metrics_listen: str | None = None
    """host:port of /metrics, or None."""
    max_workers: int = 32
    """Requests that are answered at once."""
    tick_seconds: float = 0.25
    """How often leases, parameters and manifests are looked after. Seconds."""
    only_job: str | None = None
    """Leases are granted for this job alone; None = for all. A standalone cluster works on one job."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """GRAPHBED_LISTEN and GRAPHBED_METRICS_LISTEN over the defaults."""
        return cls(
            listen=environment.read(environ, "GRAPHBED_LISTEN", "127.0.0.1:7101"),
            metrics_listen=environment.optional(environ, "GRAPHBED_METRICS_LISTEN"),
        )
