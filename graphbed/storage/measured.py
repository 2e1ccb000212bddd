"""An object store whose requests are counted, timed and weighed, whatever it is made of."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

from graphbed.errors import (
    GraphbedError,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreFull,
    StoreUnavailable,
)
from graphbed.storage.objects import ObjectStore, StoredObject

_OUTCOMES: dict[type[GraphbedError], str] = {
    ObjectMissing: "missing",
    ObjectExists: "exists",
    ObjectCorrupt: "corrupt",
    StoreUnavailable: "unavailable",
    StoreDenied: "denied",
    StoreFull: "full",
}
_OPS = ("create", "put", "get", "exists", "list", "delete")


class ObjectStoreMetrics:
    """What a process counts of its object store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "graphbed_object_store"
        self._requests = Counter(
            f"{prefix}_requests_total",
            "Requests by operation and outcome: ok; missing, exists, corrupt: an answer; unavailable, denied, full, "
            "other: a failure.",
            ["op", "outcome"],
            registry=registry,
        )
        for op in _OPS:
            for outcome in ("ok", *_OUTCOMES.values(), "other"):
                self._requests.labels(op, outcome)  # from the start: an increase from nothing to one is not seen
        self._seconds = Histogram(
            f"{prefix}_request_seconds",
            "Time of one request, all bytes included, by operation.",
            ["op"],
            registry=registry,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600),
        )
        self._bytes = Counter(
            f"{prefix}_bytes_total",
            "Bytes of objects read from the store (in) and written to it (out).",
            ["direction"],
            registry=registry,
        )

    @contextmanager
    def request(self, op: str) -> Iterator[None]:
        """Count and time one request: create, put, get, exists, size, list or delete."""
        started = time.perf_counter()
        outcome = "other"
        try:
            yield
            outcome = "ok"
        except GeneratorExit:
            outcome = "ok"  # whoever reads a stream may stop when it has seen enough
            raise
        except GraphbedError as error:
            outcome = _OUTCOMES.get(type(error), "other")
            raise
        finally:
            self._requests.labels(op, outcome).inc()
            self._seconds.labels(op).observe(time.perf_counter() - started)

    def read(self, count: int) -> None:
        """Count bytes read."""
        self._bytes.labels("in").inc(count)

    def written(self, count: int) -> None:
        """Count bytes written."""
        self._bytes.labels("out").inc(count)


class MeasuredStore:
    """`store`, with every request counted; the same promises and errors."""

    def __init__(self, store: ObjectStore, metrics: ObjectStoreMetrics) -> None:
        self._store = store
        self._metrics = metrics

    @property
    def address(self) -> str:
        return self._store.address

    def create(self, key: str, data: bytes) -> StoredObject:
        with self._metrics.request("create"):
            stored = self._store.create(key, data)
        self._metrics.written(stored.size)
        return stored

    def put(self, key: str, data: bytes | memoryview) -> StoredObject:
        with self._metrics.request("put"):
            stored = self._store.put(key, data)
        self._metrics.written(stored.size)
        return stored

    def put_stream(self, key: str, chunks: Iterable[bytes], *, size: int, sha256: str) -> StoredObject:
        with self._metrics.request("put"):
            stored = self._store.put_stream(key, chunks, size=size, sha256=sha256)
        self._metrics.written(stored.size)
        return stored

    def get(self, key: str) -> bytes:
        with self._metrics.request("get"):
            data = self._store.get(key)
        self._metrics.read(len(data))
        return data

    def stream(self, key: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        with self._metrics.request("get"):
            for chunk in self._store.stream(key, chunk_bytes=chunk_bytes):
                self._metrics.read(len(chunk))
                yield chunk

    def exists(self, key: str) -> bool:
        with self._metrics.request("exists"):
            return self._store.exists(key)

    def size(self, key: str) -> int:
        with self._metrics.request("size"):
            return self._store.size(key)

    def list(self, prefix: str) -> list[str]:
        with self._metrics.request("list"):
            return self._store.list(prefix)

    def sizes(self, prefix: str) -> dict[str, int]:
        with self._metrics.request("list"):
            return self._store.sizes(prefix)

    def delete(self, key: str) -> None:
        with self._metrics.request("delete"):
            self._store.delete(key)

    def delete_many(self, keys: Sequence[str]) -> None:
        with self._metrics.request("delete"):
            self._store.delete_many(keys)

    def abort_unfinished(self, *, older_than_seconds: float, prefix: str = "") -> int:
        with self._metrics.request("delete"):
            return self._store.abort_unfinished(older_than_seconds=older_than_seconds, prefix=prefix)
