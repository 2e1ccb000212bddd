from pathlib import Path

import pytest

from graphbed.errors import TooLarge
from services.trainer.memory import available_bytes, lease_bytes, require_memory

GIB = 1 << 30


def machine(root: Path, *, total_kib: int, limit: str | None = None, version: int = 2) -> Path:
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(f"MemTotal:  {total_kib} kB\nMemFree: 5 kB\n")
    if limit is not None:
        name = "sys/fs/cgroup/memory.max" if version == 2 else "sys/fs/cgroup/memory/memory.limit_in_bytes"
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(limit + "\n")
    return root


def test_a_machine_without_a_container_gives_four_fifths_of_its_memory(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path, total_kib=10 * 1024 * 1024)) == 8 * GIB


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_gives_four_fifths_of_its_limit(tmp_path: Path, version: int) -> None:
    root = machine(tmp_path, total_kib=10 * 1024 * 1024, limit=str(5 * GIB), version=version)
    assert available_bytes(root) == 4 * GIB


@pytest.mark.parametrize(("limit", "version"), [("max", 2), ("9223372036854771712", 1)])
def test_a_container_without_a_limit_counts_as_the_machine(tmp_path: Path, limit: str, version: int) -> None:
    root = machine(tmp_path, total_kib=10 * 1024 * 1024, limit=limit, version=version)
    assert available_bytes(root) == 8 * GIB


def test_a_lease_needs_its_tables_one_packed_copy_its_edges_and_its_parameters() -> None:
    assert lease_bytes([100, 40], edges=2, parameter_bytes=5) == 140 + 100 + 2 * 72 + 20


def test_a_lease_that_does_not_fit_is_refused_with_both_numbers() -> None:
    require_memory(GIB, GIB)
    with pytest.raises(TooLarge, match=r"3\.00 GiB .* 2\.00 GiB"):
        require_memory(3 * GIB, 2 * GIB)
