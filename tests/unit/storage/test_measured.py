"""What a process knows of its object store's requests."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from graphbed.errors import ObjectExists, ObjectMissing, StoreDenied
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.measured import MeasuredStore, ObjectStoreMetrics
from graphbed.storage.objects import sha256_hex


class Measured:
    """A measured directory and its registry."""

    def __init__(self, path: Path) -> None:
        self.registry = CollectorRegistry()
        self.store = MeasuredStore(DirectoryStore(path), ObjectStoreMetrics(self.registry))

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"graphbed_object_store_{name}", labels) or 0.0


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    return Measured(tmp_path / "store")


def test_requests_are_counted_by_what_came_of_them(measured: Measured) -> None:
    measured.store.create("a/b", b"12345")
    with pytest.raises(ObjectExists):
        measured.store.create("a/b", b"other")
    with pytest.raises(ObjectMissing):
        measured.store.get("a/c")
    assert measured.store.list("a/") == ["a/b"]
    assert measured.store.exists("a/b")
    measured.store.delete("a/b")
    outcomes = {("create", "ok"): 1, ("create", "exists"): 1, ("get", "missing"): 1, ("list", "ok"): 1}
    for (op, outcome), count in outcomes.items():
        assert measured.value("requests_total", op=op, outcome=outcome) == count
    assert measured.value("request_seconds_count", op="create") == 2
    assert measured.value("requests_total", op="delete", outcome="ok") == 1


def test_bytes_are_counted_both_ways(measured: Measured) -> None:
    data = b"x" * 1000
    measured.store.put("a", data)
    measured.store.put_stream("b", [data, data], size=2000, sha256=sha256_hex(data * 2))
    assert measured.store.get("a") == data
    assert b"".join(measured.store.stream("b", chunk_bytes=300)) == data * 2
    assert measured.value("bytes_total", direction="out") == 3000
    assert measured.value("bytes_total", direction="in") == 3000


def test_a_stream_that_nobody_reads_to_its_end_is_no_failure(measured: Measured) -> None:
    measured.store.put("a", b"x" * 1000)
    stream = measured.store.stream("a", chunk_bytes=100)
    next(stream)
    stream.close()
    assert measured.value("requests_total", op="get", outcome="ok") == 1
    assert measured.value("bytes_total", direction="in") == 100


class Forbidden(DirectoryStore):
    """Gives nothing."""

    def get(self, key: str) -> bytes:
        raise StoreDenied(address=self.address, what="not you")


def test_failures_of_the_store_have_outcomes_of_their_own(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    store = MeasuredStore(Forbidden(tmp_path), ObjectStoreMetrics(registry))
    with pytest.raises(StoreDenied):
        store.get("a")
    labels = {"op": "get", "outcome": "denied"}
    assert registry.get_sample_value("graphbed_object_store_requests_total", labels) == 1
