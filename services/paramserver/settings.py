"""What a parameter server can be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from graphbed.rpc import environment


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamServerSettings:
    """Settings of one process."""

    listen: str = "127.0.0.1:7103"
    """host:port; port 0 takes a free one. GRAPHBED_LISTEN."""
    metrics_listen: str | None = None
    """host:port of /metrics; None: no such port. GRAPHBED_METRICS_LISTEN."""
    max_job_bytes: int = 1 << 30
    """Most bytes of one job's tensors; each live lease takes as much again. GRAPHBED_MAX_JOB_BYTES."""
    max_jobs: int = 64
    """Most jobs in memory; the one that nobody used for longest is forgotten first. GRAPHBED_MAX_JOBS."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read GRAPHBED_*. Raises InputError."""
        return cls(
            listen=environment.read(environ, "GRAPHBED_LISTEN", "127.0.0.1:7103"),
            metrics_listen=environment.optional(environ, "GRAPHBED_METRICS_LISTEN"),
            max_job_bytes=environment.read_int(environ, "GRAPHBED_MAX_JOB_BYTES", 1 << 30, minimum=1 << 20),
            max_jobs=environment.read_int(environ, "GRAPHBED_MAX_JOBS", 64),
        )
