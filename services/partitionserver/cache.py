"""The cache: immutable versions that are durable elsewhere, in memory first, then on disk."""

import threading
from dataclasses import dataclass

from services.partitionserver.disk_tier import DiskTier
from services.partitionserver.lru import LeastRecentlyUsed
from services.partitionserver.metrics import PartitionServerMetrics


@dataclass(frozen=True, slots=True)
class _Version:
    sha256: str
    data: memoryview


class VersionCache:
    """Safe for threads. What leaves the memory goes to the disk tier, if there is one, and comes back when needed."""

    def __init__(self, max_memory_bytes: int, disk: DiskTier | None, metrics: PartitionServerMetrics) -> None:
        self._memory: LeastRecentlyUsed[_Version] = LeastRecentlyUsed(max_memory_bytes)
        self._disk = disk
        self._metrics = metrics
        self._lock = threading.Lock()

    def accepts(self, size: int) -> bool:
        """Whether a version of `size` bytes could be kept in either tier."""
        return self._memory.accepts(size) or (self._disk is not None and self._disk.accepts(size))

    def get(self, key: str, sha256: str) -> memoryview | None:
        """The bytes of version `key` with checksum `sha256`, read-only; None if they are not cached."""
        with self._lock:
            version = self._memory.get(key)
        if version is not None and version.sha256 == sha256:
            self._metrics.cache_hits.labels("memory").inc()
            return version.data
        self._metrics.cache_misses.labels("memory").inc()
        if self._disk is None:
            return None
        data = self._disk.get(key, sha256)
        if data is None:
            self._metrics.cache_misses.labels("disk").inc()
            return None
        self._metrics.cache_hits.labels("disk").inc()
        self._keep(key, _Version(sha256, data))
        return data

    def put(self, key: str, sha256: str, data: bytes) -> None:
        """Keep a version. The caller knows that it is durable in the object store and that `sha256` is its checksum."""
        self._keep(key, _Version(sha256, memoryview(data)))

    def _keep(self, key: str, version: _Version) -> None:
        with self._lock:
            gone = self._memory.put(key, version, len(version.data))
        if self._disk is not None:
            for evicted, left in gone.items():
                self._disk.put(evicted, left.sha256, left.data)
        self._metrics.cache_bytes.labels("memory").set(self._memory.bytes)
        self._metrics.cache_bytes.labels("disk").set(self._disk.bytes if self._disk else 0)
