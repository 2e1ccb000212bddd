"""What the partition server takes and gives, and what it refuses."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from graphbed.errors import (
    BadName,
    BadPartition,
    BadReceipt,
    ObjectCorrupt,
    ObjectMissing,
    StoreUnavailable,
    TooLarge,
)
from graphbed.graph.partition import Partition
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.objects import StoredObject
from graphbed.storage.partition_file import PartitionArrays, pack_partition
from services.partitionserver.cache import VersionCache
from services.partitionserver.metrics import PartitionServerMetrics
from services.partitionserver.versions import PIECE_BYTES, Announced, Versions

KEY = "jobs/j/partitions/e/3/lease1.safetensors"


def packed(rows: int = 50, dimension: int = 8, value: float = 1.0) -> bytes:
    embeddings = np.full((rows, dimension), 2.0, np.float32)
    embeddings[-1, -1] = value
    return pack_partition(PartitionArrays(embeddings=embeddings, sums=np.ones((rows, 1), np.float32)))


def announced(data: bytes, **changes: object) -> Announced:
    about = Announced(
        job="j",
        lease_id="lease1",
        partition=Partition("e", 3),
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        rows=50,
        dimension=8,
    )
    return replace(about, **changes)  # type: ignore[arg-type]


def pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 700):
        yield data[start : start + 700]


def never() -> Iterator[bytes]:
    raise AssertionError("a piece was taken before the announcement was refused")
    yield b""


class Room:
    """Versions over a directory, and what they counted."""

    def __init__(self, store: DirectoryStore, cache_bytes: int = 1 << 20) -> None:
        self.store = store
        self.registry = CollectorRegistry()
        metrics = PartitionServerMetrics(self.registry)
        cache = VersionCache(cache_bytes, None, metrics)
        self.versions = Versions(store, cache, metrics, max_partition_bytes=100_000)

    def counted(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"graphbed_partitionserver_{name}", labels)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(DirectoryStore(tmp_path))


def test_what_was_stored_is_durable_and_fetched(room: Room) -> None:
    data = packed()
    receipt = room.versions.store(announced(data), pieces(data))
    assert (receipt.key, receipt.rows, receipt.dimension, receipt.finite) == (KEY, 50, 8, True)
    assert room.store.get(KEY) == data
    assert b"".join(room.versions.fetch("j", Partition("e", 3), receipt)) == data
    assert room.counted("bytes_total", direction="in") == len(data)
    assert room.counted("bytes_total", direction="out") == len(data)
    assert room.counted("cache_hits_total", tier="memory") == 1


def test_a_version_that_is_not_cached_comes_from_the_store_and_then_from_the_cache(room: Room, tmp_path: Path) -> None:
    data = packed()
    receipt = room.versions.store(announced(data), pieces(data))
    other = Room(room.store)
    for _ in range(2):
        assert b"".join(other.versions.fetch("j", Partition("e", 3), receipt)) == data
    assert other.counted("cache_hits_total", tier="memory") == 1
    (tmp_path / KEY).unlink()
    assert b"".join(other.versions.fetch("j", Partition("e", 3), receipt)) == data
    with pytest.raises(ObjectMissing, match="lease1"):
        list(Room(room.store).versions.fetch("j", Partition("e", 3), receipt))


def test_a_large_version_is_given_in_pieces_that_fit_a_message(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    data = packed(rows=100_000)
    metrics = PartitionServerMetrics(CollectorRegistry())
    for cache_bytes in (0, 1 << 30):
        versions = Versions(store, VersionCache(cache_bytes, None, metrics), metrics, max_partition_bytes=1 << 30)
        receipt = versions.store(announced(data, rows=100_000), pieces(data))
        given = list(versions.fetch("j", Partition("e", 3), receipt))
        assert max(map(len, given)) <= PIECE_BYTES
        assert b"".join(given) == data


def test_the_same_lease_may_send_the_same_bytes_again(room: Room) -> None:
    data = packed()
    first = room.versions.store(announced(data), pieces(data))
    assert Room(room.store).versions.store(announced(data), pieces(data)) == first


def test_the_same_lease_may_not_replace_its_version(room: Room) -> None:
    data, other = packed(), packed(value=3.0)
    receipt = room.versions.store(announced(data), pieces(data))
    with pytest.raises(BadPartition, match="other bytes"):
        room.versions.store(announced(other), pieces(other))
    assert room.store.get(KEY) == data
    assert b"".join(room.versions.fetch("j", Partition("e", 3), receipt)) == data


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_never_reach_the_store(room: Room, value: float) -> None:
    data = packed(value=value)
    with pytest.raises(BadPartition, match="NaN or infinity"):
        room.versions.store(announced(data), pieces(data))
    assert room.store.list("") == []
    assert room.counted("versions_refused_total") == 1


@pytest.mark.parametrize("change", [{"rows": 51}, {"rows": 49}, {"dimension": 9}, {"dimension": 0}])
def test_another_shape_than_announced_is_refused(room: Room, change: dict[str, int]) -> None:
    data = packed()
    with pytest.raises(BadPartition):
        room.versions.store(announced(data, **change), pieces(data))
    assert room.store.list("") == []


def test_bytes_that_are_no_partition_file_are_refused(room: Room) -> None:
    with pytest.raises(BadPartition):
        room.versions.store(announced(b"hello"), pieces(b"hello"))
    assert room.store.list("") == []


@pytest.mark.parametrize("fault", ["flipped", "shorter", "longer", "endless", "nothing"])
def test_bytes_that_were_damaged_on_the_way_are_refused(room: Room, fault: str) -> None:
    data = packed()
    sent: dict[str, Iterator[bytes]] = {
        "flipped": pieces(data[:-1] + bytes([data[-1] ^ 1])),
        "shorter": pieces(data[:-1]),
        "longer": pieces(data + b"x"),
        "endless": iter(lambda: bytes(1000), None),
        "nothing": iter([]),
    }
    with pytest.raises(ObjectCorrupt, match="lease1"):
        room.versions.store(announced(data), sent[fault])
    assert room.store.list("") == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"size": 100_001, "rows": 1 << 20}, TooLarge),
        ({"size": 99_999}, BadPartition),
        ({"sha256": "x"}, BadPartition),
        ({"job": "../j"}, BadName),
        ({"lease_id": "a/b"}, BadName),
        ({"lease_id": ""}, BadName),
        ({"partition": Partition("..", 0)}, BadName),
    ],
)
def test_a_bad_announcement_is_refused_before_the_first_byte(
    room: Room, change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        room.versions.store(announced(packed(), **change), never())


def test_only_versions_of_the_partition_are_given(room: Room) -> None:
    data = packed()
    receipt = room.versions.store(announced(data), pieces(data))
    room.store.put("jobs/j/job.yaml", b"secret: no")
    for key in ("jobs/j/job.yaml", "jobs/j/partitions/e/4/lease1.safetensors", "../../etc/passwd", ""):
        with pytest.raises((BadReceipt, BadName)):
            list(room.versions.fetch("j", Partition("e", 3), replace(receipt, key=key)))
    with pytest.raises(BadReceipt):
        list(room.versions.fetch("other", Partition("e", 3), receipt))
    with pytest.raises(TooLarge):
        list(room.versions.fetch("j", Partition("e", 3), replace(receipt, size=100_001)))


@pytest.mark.parametrize("fault", ["flipped", "shorter", "longer"])
def test_a_version_that_was_damaged_in_the_store_is_named_and_never_cached(
    room: Room, tmp_path: Path, fault: str
) -> None:
    data = packed()
    receipt = room.versions.store(announced(data), pieces(data))
    damaged = {"flipped": data[:-1] + b"\x01", "shorter": data[:-1], "longer": data * 3}[fault]
    (tmp_path / KEY).write_bytes(damaged)
    fresh = Room(room.store)
    for _ in range(2):
        with pytest.raises(ObjectCorrupt, match="lease1") as corrupt:
            list(fresh.versions.fetch("j", Partition("e", 3), receipt))
        assert corrupt.value.facts["key"] == KEY
    assert not fresh.counted("cache_hits_total", tier="memory")
    assert fresh.counted("versions_corrupt_total") == 2
    (tmp_path / KEY).write_bytes(data)
    assert b"".join(fresh.versions.fetch("j", Partition("e", 3), receipt)) == data


class DownStore(DirectoryStore):
    """A directory that stops answering."""

    down = False

    def create(self, key: str, data: bytes) -> StoredObject:
        if self.down:
            raise StoreUnavailable(address=self.address)
        return super().create(key, data)


def test_a_version_that_could_not_be_made_durable_is_not_in_the_cache(tmp_path: Path) -> None:
    store = DownStore(tmp_path)
    store.down = True
    room = Room(store)
    data = packed()
    with pytest.raises(StoreUnavailable):
        room.versions.store(announced(data), pieces(data))
    assert not room.counted("cache_bytes", tier="memory")
    store.down = False
    room.versions.store(announced(data), pieces(data))
