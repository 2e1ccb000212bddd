"""The cache of versions: bounded, verified, and never the reason of a failure."""

import hashlib
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from graphbed.errors import InputError
from services.partitionserver.cache import VersionCache
from services.partitionserver.disk_tier import DiskTier
from services.partitionserver.lru import LeastRecentlyUsed
from services.partitionserver.metrics import PartitionServerMetrics


def version(name: str, size: int = 100) -> tuple[str, str, bytes]:
    """Key, checksum and bytes of a version that differs from all others."""
    data = hashlib.shake_128(name.encode()).digest(size)
    return f"jobs/j/partitions/e/0/{name}.safetensors", hashlib.sha256(data).hexdigest(), data


def cache_of(memory: int, disk: DiskTier | None = None) -> tuple[VersionCache, CollectorRegistry]:
    registry = CollectorRegistry()
    return VersionCache(memory, disk, PartitionServerMetrics(registry)), registry


def counted(registry: CollectorRegistry, name: str, tier: str) -> float | None:
    return registry.get_sample_value(f"graphbed_partitionserver_{name}", {"tier": tier})


def stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 60), st.booleans()), max_size=60))
@settings(max_examples=150, deadline=None)
def test_it_keeps_what_was_used_last_within_its_bytes(steps: list[tuple[str, int, bool]]) -> None:
    kept: LeastRecentlyUsed[int] = LeastRecentlyUsed(100)
    model: list[tuple[str, int]] = []  # the one used last stands last
    for name, size, is_put in steps:
        if is_put:
            kept.put(name, size, size)
            model = [entry for entry in model if entry[0] != name] + [(name, size)]
            while sum(each for _, each in model) > 100:
                model.pop(0)
        else:
            expected = dict(model).get(name)
            assert kept.get(name) == expected
            if expected is not None:
                model.remove((name, expected))
                model.append((name, expected))
        assert kept.bytes == sum(each for _, each in model) <= 100
        for each in "abcdef":
            assert (each in kept) == (each in dict(model))


def test_what_is_larger_than_everything_does_not_drive_the_others_out() -> None:
    kept: LeastRecentlyUsed[str] = LeastRecentlyUsed(100)
    kept.put("small", "s", 50)
    assert kept.put("large", "l", 101) == {"large": "l"}
    assert kept.get("small") == "s"


def test_a_version_is_found_only_under_its_own_checksum() -> None:
    cache, registry = cache_of(1000)
    key, sha256, data = version("a")
    cache.put(key, sha256, data)
    assert cache.get(key, sha256) == data
    assert cache.get(key, "0" * 64) is None
    assert cache.get("other", sha256) is None
    assert counted(registry, "cache_hits_total", "memory") == 1
    assert counted(registry, "cache_misses_total", "memory") == 2
    assert counted(registry, "cache_bytes", "memory") == 100


def test_what_leaves_the_memory_is_found_on_disk_and_comes_back(tmp_path: Path) -> None:
    cache, registry = cache_of(250, DiskTier(tmp_path, 1000))
    versions = [version(name) for name in "abcd"]
    for each in versions:
        cache.put(*each)
    assert counted(registry, "cache_bytes", "memory") == 200
    assert counted(registry, "cache_bytes", "disk") == stored_bytes(tmp_path) == 200
    key, sha256, data = versions[0]
    assert cache.get(key, sha256) == data
    assert counted(registry, "cache_hits_total", "disk") == 1
    assert cache.get(key, sha256) == data
    assert counted(registry, "cache_hits_total", "memory") == 1


def test_a_version_too_large_for_the_memory_goes_to_disk_at_once(tmp_path: Path) -> None:
    cache, _ = cache_of(50, DiskTier(tmp_path, 1000))
    assert cache.accepts(1000)
    assert not cache.accepts(1001)
    key, sha256, data = version("a")
    cache.put(key, sha256, data)
    assert cache.get(key, sha256) == data


def test_the_folder_never_holds_more_than_allowed(tmp_path: Path) -> None:
    disk = DiskTier(tmp_path, 1000)
    for number in range(30):
        key, sha256, data = version(f"v{number}", 50 + 17 * number)
        disk.put(key, sha256, memoryview(data))
        assert stored_bytes(tmp_path) == disk.bytes <= 1000
        assert disk.get(key, sha256) == data


def test_a_bit_that_flipped_in_the_folder_is_a_miss_once_and_for_all(tmp_path: Path) -> None:
    disk = DiskTier(tmp_path, 1000)
    key, sha256, data = version("a")
    disk.put(key, sha256, memoryview(data))
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert disk.get(key, sha256) is None
    assert disk.bytes == 0
    disk.put(key, sha256, memoryview(data))
    assert disk.get(key, sha256) == data


def test_a_file_that_vanished_is_a_miss(tmp_path: Path) -> None:
    disk = DiskTier(tmp_path, 1000)
    key, sha256, data = version("a")
    disk.put(key, sha256, memoryview(data))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()
    assert disk.get(key, sha256) is None


def test_a_folder_that_refuses_writes_costs_hits_only(tmp_path: Path) -> None:
    disk = DiskTier(tmp_path, 1000)
    (tmp_path / "graphbed-versions").rmdir()
    key, sha256, data = version("a")
    disk.put(key, sha256, memoryview(data))
    assert disk.get(key, sha256) is None
    assert disk.bytes == 0


def test_the_folder_is_emptied_at_start_and_what_lies_beside_it_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("not mine")
    disk = DiskTier(tmp_path, 1000)
    key, sha256, data = version("a")
    disk.put(key, sha256, memoryview(data))
    again = DiskTier(tmp_path, 1000)
    assert again.get(key, sha256) is None
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["precious"]


def test_a_folder_that_cannot_be_made_is_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file"):
        DiskTier(tmp_path / "file", 1000)


def test_many_threads_get_the_right_bytes_or_none(tmp_path: Path) -> None:
    cache, _ = cache_of(500, DiskTier(tmp_path, 900))
    versions = [version(f"v{number}", 100 + number) for number in range(20)]
    wrong: list[str] = []

    def work(seed: int) -> None:
        for step in range(300):
            key, sha256, data = versions[(step * (2 * seed + 1) + seed) % len(versions)]
            found = cache.get(key, sha256)
            if found is None:
                cache.put(key, sha256, data)
            elif found != data:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert stored_bytes(tmp_path) <= 900
    assert not list(tmp_path.rglob("*.unfinished"))
