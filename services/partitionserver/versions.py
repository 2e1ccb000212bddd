"""Versions: given from the cache or the object store, taken only if they are what they claim to be."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graphbed import history
from graphbed.errors import BadPartition, BadReceipt, NotFinite, ObjectCorrupt, ObjectExists, TooLarge
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore, get_verified, sha256_hex
from graphbed.storage.partition_file import max_file_bytes, require_finite, unpack_partition
from graphbed.storage.receipt import Receipt
from services.partitionserver.cache import VersionCache
from services.partitionserver.metrics import PartitionServerMetrics

PIECE_BYTES = 1 << 20
"""What one message carries."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a trainer says about the version that it is going to send."""

    job: str
    lease_id: str
    partition: Partition
    size: int
    sha256: str
    rows: int
    dimension: int


class Versions:
    """Safe for threads."""

    def __init__(
        self, store: ObjectStore, cache: VersionCache, metrics: PartitionServerMetrics, *, max_partition_bytes: int
    ) -> None:
        self._store = store
        self._cache = cache
        self._metrics = metrics
        self._max_partition_bytes = max_partition_bytes

    def fetch(self, job: str, partition: Partition, version: Receipt) -> Iterator[bytes]:
        """The bytes of `version` in pieces. Ends with ObjectCorrupt if they were not those of the receipt.

        Raises BadReceipt if it is no version of `partition`, TooLarge, ObjectMissing, StoreUnavailable.
        """
        self._check_receipt(job, partition, version)
        with self._metrics.fetch_seconds.time():
            cached = self._cache.get(version.key, version.sha256)
            pieces = self._read(version) if cached is None or len(cached) != version.size else _cut(cached)
            for piece in pieces:
                self._metrics.bytes_out.inc(len(piece))
                yield piece

    def store(self, announced: Announced, pieces: Iterable[bytes]) -> Receipt:
        """Take one version and make it durable; the same lease may send the same bytes again.

        Raises TooLarge, BadName, BadPartition before the first piece is taken; ObjectCorrupt if the pieces are not as
        announced; BadPartition if they are no finite partition file of that shape, or if this lease stored another
        version of the partition before; StoreFull, StoreUnavailable, StoreDenied.
        """
        key = layout.partition_version(announced.job, announced.partition, announced.lease_id)
        with self._metrics.store_seconds.time(), history.operation("store", key=key, sha256=announced.sha256):
            self._check_announced(key, announced)
            data = self._collect(key, announced, pieces)
            self._check_content(key, announced, data)
            self._make_durable(key, announced, data)
            self._cache.put(key, announced.sha256, data)
        return Receipt(
            key=key,
            size=announced.size,
            sha256=announced.sha256,
            rows=announced.rows,
            dimension=announced.dimension,
            finite=True,
        )

    def _check_receipt(self, job: str, partition: Partition, version: Receipt) -> None:
        lease_id = version.key.rpartition("/")[2].removesuffix(".safetensors")
        if version.key != layout.partition_version(job, partition, lease_id):
            raise BadReceipt(what=f"{version.key[:200]!r} is no version of partition {partition} of job {job}")
        if version.size > self._max_partition_bytes:
            raise TooLarge(what=f"the version {version.key}", size=version.size, limit=self._max_partition_bytes)

    def _read(self, version: Receipt) -> Iterator[bytes]:
        """Pass on what the object store gives, and cache it if it is right. Sends nothing beyond the receipt's size."""
        kept: list[bytes] | None = [] if self._cache.accepts(version.size) else None
        digest = hashlib.sha256()
        size = 0
        for piece in self._store.stream(version.key, chunk_bytes=PIECE_BYTES):
            size += len(piece)
            if size > version.size:
                break
            digest.update(piece)
            if kept is not None:
                kept.append(piece)
            yield piece
        if size != version.size or digest.hexdigest() != version.sha256:
            self._metrics.versions_corrupt.inc()
            raise ObjectCorrupt(key=version.key, store=self._store.address)
        if kept is not None:
            self._cache.put(version.key, version.sha256, b"".join(kept))

    def _check_announced(self, key: str, announced: Announced) -> None:
        if announced.size > self._max_partition_bytes:
            raise TooLarge(what=f"the version {key}", size=announced.size, limit=self._max_partition_bytes)
        if not _SHA256.fullmatch(announced.sha256):
            raise BadPartition(what="its checksum is not 64 hexadecimal digits", key=key)
        if announced.size > max_file_bytes(announced.rows, announced.dimension):
            shape = f"{announced.rows} rows of dimension {announced.dimension}"
            raise BadPartition(what=f"{announced.size} bytes are more than {shape} take", key=key)

    def _collect(self, key: str, announced: Announced, pieces: Iterable[bytes]) -> bytes:
        taken: list[bytes] = []
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > announced.size:
                break
            self._metrics.bytes_in.inc(len(piece))
            taken.append(piece)
        data = b"".join(taken)
        if size != announced.size or sha256_hex(data) != announced.sha256:
            raise ObjectCorrupt(key=key, what="size or checksum differ on arrival")
        return data

    def _check_content(self, key: str, announced: Announced, data: bytes) -> None:
        try:
            arrays = unpack_partition(data, rows=announced.rows, dimension=announced.dimension, key=key)
            require_finite(arrays, str(announced.partition))
        except NotFinite as error:
            self._metrics.versions_refused.inc()
            raise BadPartition(what=f"{error.facts['where']} hold NaN or infinity", key=key) from None
        except BadPartition:
            self._metrics.versions_refused.inc()
            raise

    def _make_durable(self, key: str, announced: Announced, data: bytes) -> None:
        try:
            # Not put: a version is never replaced, not even by its own lease's second thoughts.
            self._store.create(key, data)
        except ObjectExists:
            self._require_same(key, announced)

    def _require_same(self, key: str, announced: Announced) -> None:
        """A repeated Store finds its own bytes, which are then known to be durable."""
        try:
            get_verified(self._store, key, size=announced.size, sha256=announced.sha256)
        except ObjectCorrupt:
            self._metrics.versions_refused.inc()
            raise BadPartition(what="its lease stored other bytes of this partition before", key=key) from None


def _cut(data: memoryview) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield bytes(data[start : start + PIECE_BYTES])
