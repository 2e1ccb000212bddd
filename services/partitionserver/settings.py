"""What a partition server can be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from graphbed.rpc import environment

_LISTEN = "127.0.0.1:7102"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionServerSettings:
    """Settings of one process."""

    listen: str = _LISTEN
    """host:port; port 0 takes a free one. GRAPHBED_LISTEN."""
    metrics_listen: str | None = None
    """host:port of /metrics; None: no such port. GRAPHBED_METRICS_LISTEN."""
    max_partition_bytes: int = 2 << 30
    """Largest version that is taken or given; each running Store call may need twice that much memory.
    GRAPHBED_MAX_PARTITION_BYTES."""
    memory_cache_bytes: int = 256 << 20
    """Versions kept in memory, bytes; 0: none. GRAPHBED_MEMORY_CACHE_BYTES."""
    disk_cache_path: Path | None = None
    """Folder for versions that left the memory, of this server alone; None: no such cache. GRAPHBED_DISK_CACHE_PATH."""
    disk_cache_bytes: int = 16 << 30
    """Versions kept in that folder, bytes. GRAPHBED_DISK_CACHE_BYTES."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read GRAPHBED_*. Raises InputError."""
        path = environment.optional(environ, "GRAPHBED_DISK_CACHE_PATH")
        return cls(
            listen=environment.read(environ, "GRAPHBED_LISTEN", _LISTEN),
            metrics_listen=environment.optional(environ, "GRAPHBED_METRICS_LISTEN"),
            max_partition_bytes=environment.read_int(environ, "GRAPHBED_MAX_PARTITION_BYTES", 2 << 30),
            memory_cache_bytes=environment.read_int(environ, "GRAPHBED_MEMORY_CACHE_BYTES", 256 << 20, minimum=0),
            disk_cache_path=Path(path) if path else None,
            disk_cache_bytes=environment.read_int(environ, "GRAPHBED_DISK_CACHE_BYTES", 16 << 30, minimum=0),
        )
