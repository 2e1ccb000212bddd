"""What every object store keeps: run on a directory and on a real S3 server."""

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphbed.errors import (
    BadName,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    StoreUnsafe,
)
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.objects import ObjectStore, StoredObject, get_verified
from graphbed.storage.probe import probe_create_once

SIZES = [0, 1, 1 << 20, 20_000_000]


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "store")
    found: ObjectStore = request.getfixturevalue("s3").store()
    return found


def some_bytes(size: int) -> bytes:
    return os.urandom(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pieces(data: bytes, size: int = 700_001) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_read_back(store: ObjectStore, size: int) -> None:
    data = some_bytes(size)
    stored = store.put("a/b.bin", data)
    assert stored == StoredObject(key="a/b.bin", size=size, sha256=sha256(data))
    assert store.get("a/b.bin") == data
    assert get_verified(store, "a/b.bin", size=size, sha256=stored.sha256) == data


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_is_stored_and_read_in_bounded_pieces(store: ObjectStore, size: int) -> None:
    data = some_bytes(size)
    stored = store.put_stream("a/stream", pieces(data), size=size, sha256=sha256(data))
    assert stored == StoredObject(key="a/stream", size=size, sha256=sha256(data))
    read = list(store.stream("a/stream", chunk_bytes=100_000))
    assert all(len(piece) <= 100_000 for piece in read)
    assert b"".join(read) == data


def test_a_view_of_memory_is_stored_like_bytes(store: ObjectStore) -> None:
    data = bytearray(some_bytes(100_000))
    assert store.put("view", memoryview(data)).sha256 == sha256(bytes(data))
    assert store.get("view") == data


def test_putting_an_equal_object_again_is_fine(store: ObjectStore) -> None:
    assert store.put("same", b"bytes") == store.put("same", b"bytes")
    assert store.get("same") == b"bytes"


def test_what_is_created_once_is_never_overwritten(store: ObjectStore) -> None:
    assert store.create("once", b"first").sha256 == sha256(b"first")
    with pytest.raises(ObjectExists) as refused:
        store.create("once", b"second")
    assert refused.value.facts["key"] == "once"
    assert store.get("once") == b"first"


def test_what_was_put_cannot_be_created(store: ObjectStore) -> None:
    store.put("there", b"first")
    with pytest.raises(ObjectExists):
        store.create("there", b"second")
    assert store.get("there") == b"first"


def test_of_eight_creators_at_once_exactly_one_wins(store: ObjectStore) -> None:
    barrier = threading.Barrier(8)

    def create(key: str, number: int) -> bytes | None:
        data = b"%d" % number * 1000
        barrier.wait()
        try:
            store.create(key, data)
        except ObjectExists:
            return None
        return data

    for round_number in range(5):
        key = f"race/{round_number}"
        with ThreadPoolExecutor(8) as pool:
            winners = [data for data in pool.map(create, [key] * 8, range(8)) if data is not None]
        assert len(winners) == 1
        assert store.get(key) == winners[0]


@pytest.mark.parametrize("size", [0, 10, 20_000_000])
@pytest.mark.parametrize("fault", ["checksum", "longer", "shorter", "endless"])
def test_a_stream_of_other_bytes_than_announced_leaves_no_object(store: ObjectStore, size: int, fault: str) -> None:
    data = some_bytes(size)
    announced, expected_sha256 = size, sha256(data)
    chunks = pieces(data)
    if fault == "checksum":
        expected_sha256 = sha256(data + b"x")
    elif fault == "longer":
        chunks = pieces(data + b"x")
    elif fault == "shorter":
        announced += 1
    else:
        chunks = iter(lambda: bytes(1 << 20), None)
    with pytest.raises(ObjectCorrupt) as refused:
        store.put_stream("a/bad", chunks, size=announced, sha256=expected_sha256)
    assert refused.value.facts["key"] == "a/bad"
    assert not store.exists("a/bad")
    assert store.list("") == []


def test_a_stream_that_breaks_off_leaves_no_object(store: ObjectStore) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(18 << 20)
        raise RuntimeError("the sender went away")

    with pytest.raises(RuntimeError, match="went away"):
        store.put_stream("a/broken", broken(), size=40 << 20, sha256="0" * 64)
    assert not store.exists("a/broken")
    assert store.list("") == []


def test_a_missing_object_is_named(store: ObjectStore) -> None:
    store.put("jobs/j/there", b"x")
    assert not store.exists("jobs/j/nothing")
    assert not store.exists("jobs/j")
    for read in (store.get, lambda key: list(store.stream(key))):
        for key in ("jobs/j/nothing", "jobs/j", "jobs/j/there/below"):
            with pytest.raises(ObjectMissing) as missing:
                read(key)
            assert missing.value.facts["key"] == key


def test_deleting_is_final_and_may_be_repeated(store: ObjectStore) -> None:
    store.put("a/gone", b"x")
    store.delete("a/gone")
    store.delete("a/gone")
    assert not store.exists("a/gone")
    assert store.list("a/") == []
    store.create("a/gone", b"y")
    assert store.get("a/gone") == b"y"


def test_a_prefix_lists_its_keys_sorted_whole_segment_or_not(store: ObjectStore) -> None:
    keys = ["jobs/a/x", "jobs/a/y/z", "jobs/ab/x", "jobs/b", "jobs-old/c", "top"]
    for key in reversed(keys):
        store.put(key, b"x")
    assert store.list("") == sorted(keys)
    assert store.list("jobs/") == ["jobs/a/x", "jobs/a/y/z", "jobs/ab/x", "jobs/b"]
    assert store.list("jobs/a") == ["jobs/a/x", "jobs/a/y/z", "jobs/ab/x"]
    assert store.list("jobs/a/") == ["jobs/a/x", "jobs/a/y/z"]
    assert store.list("nothing/") == []


@pytest.mark.parametrize(
    "key",
    ["", "/", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "./a", ".hidden", "a/.hidden", "a\\b", "a b", "a\n"],
)
def test_a_key_that_could_leave_its_place_is_refused(store: ObjectStore, key: str) -> None:
    for verb in (
        lambda: store.put(key, b"x"),
        lambda: store.create(key, b"x"),
        lambda: store.put_stream(key, [b"x"], size=1, sha256=sha256(b"x")),
        lambda: store.get(key),
        lambda: list(store.stream(key)),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(BadName):
            verb()


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", "a//", "..", "/a"])
def test_a_prefix_that_could_leave_its_place_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(BadName):
        store.list(prefix)


def test_keys_are_bounded_in_length(store: ObjectStore) -> None:
    long_key = "/".join(["k" * 190] * 4)
    store.put(long_key, b"x")
    assert store.list("") == [long_key]
    for key in ("k" * 201, "/".join(["k" * 190] * 5)):
        with pytest.raises(BadName):
            store.put(key, b"x")


def test_the_store_is_fit_for_checkpoints_and_the_probe_leaves_nothing(store: ObjectStore) -> None:
    probe_create_once(store)
    assert store.list("") == []


class OverwritingStore(DirectoryStore):
    """As some S3 servers: takes a create for a put."""

    def create(self, key: str, data: bytes) -> StoredObject:
        return self.put(key, data)


def test_a_store_that_overwrites_is_found_unsafe(tmp_path: Path) -> None:
    store = OverwritingStore(tmp_path)
    with pytest.raises(StoreUnsafe) as unsafe:
        probe_create_once(store)
    assert unsafe.value.facts["address"] == str(tmp_path)
    assert store.list("") == []


def test_sizes_are_those_of_the_objects(store: ObjectStore) -> None:
    for key, size in (("jobs/a/x", 3), ("jobs/a/y/z", 0), ("jobs/ab", 20_000_000), ("other", 1)):
        store.put(key, bytes(size))
    assert store.sizes("jobs/") == {"jobs/a/x": 3, "jobs/a/y/z": 0, "jobs/ab": 20_000_000}
    assert list(store.sizes("jobs/")) == store.list("jobs/")
    assert store.sizes("nothing/") == {}


def test_many_are_deleted_whether_they_are_there_or_not(store: ObjectStore) -> None:
    keys = [f"a/{number}" for number in range(1200)]
    for key in ["a/kept", *keys[:30], keys[1199]]:
        store.put(key, b"x")
    store.delete_many(keys)
    assert store.list("") == ["a/kept"]
    store.delete_many([])
    with pytest.raises(BadName):
        store.delete_many(["../up"])


def test_only_old_unfinished_writes_are_aborted(store: ObjectStore) -> None:
    """A finished object and a write that goes on are none of it."""
    store.put("a/done", b"x")
    seen: list[int] = []

    def slow() -> Iterator[bytes]:
        yield bytes(18 << 20)
        seen.append(store.abort_unfinished(older_than_seconds=3600.0))
        yield bytes(2 << 20)

    data = bytes(20 << 20)
    store.put_stream("a/slow", slow(), size=len(data), sha256=sha256(data))
    assert seen == [0]
    assert store.list("") == ["a/done", "a/slow"]
