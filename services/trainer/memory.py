"""How much memory a lease needs, and how much there is."""

from collections.abc import Iterable
from pathlib import Path

from graphbed.errors import TooLarge

_EDGE_BYTES = 72
"""Of one edge while it is read, ordered and trained: its columns twice (2·28) and its place in the order (2·8)."""

_UNLIMITED = 1 << 60
"""A cgroup without a limit reports a number near 2^63."""


def lease_bytes(table_bytes: Iterable[int], *, edges: int, parameter_bytes: int) -> int:
    """Peak memory of a lease in bytes.

    The tables, one packed copy of the largest partition on its way out is at most one more table, the edges, and the
    parameters four times (local, reference, delta, received).
    """
    tables = list(table_bytes)
    return sum(tables) + max(tables, default=0) + edges * _EDGE_BYTES + 4 * parameter_bytes


def available_bytes(root: Path = Path("/")) -> int:
    """Four fifths of what the machine has, or of what the container may use (cgroup v1 and v2), in bytes."""
    limits = [_meminfo_total(root / "proc/meminfo")]
    for name in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _read(root / name)
        if text.isdigit() and int(text) < _UNLIMITED:
            limits.append(int(text))
    return min(limits) * 4 // 5


def require_memory(needed: int, limit: int) -> None:
    """Raise TooLarge if a lease needs more than `limit` bytes; nothing has been read then."""
    if needed > limit:
        raise TooLarge(
            what=f"the lease needs {needed / 2**30:.2f} GiB and the trainer may use {limit / 2**30:.2f} GiB "
            "(more partitions or a higher num_groups help); it"
        )


def _meminfo_total(path: Path) -> int:
    for line in _read(path).splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return _UNLIMITED


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
