"""A small cluster around one parameter server: a lock server's state and trainers, all in one thread."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from graphbed.clients.tensors import Tensors
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.receipt import Receipt
from services.paramserver.jobs import Jobs
from services.paramserver.metrics import ParamServerMetrics
from services.paramserver.objects import ParameterObjects
from services.paramserver.rounds import Round

JOB = "job"
LEASES = 24
"""Lease number k writes column k only, so a pull shows which leases it counts and with which push."""


def initial() -> Tensors:
    return {"a/values": np.full((3, LEASES), 0.5, np.float32), "a/sums": np.ones(LEASES, np.float32)}


@dataclass
class Lease:
    number: int
    status: str = "live"
    sequence: int = 0
    value: int = 0
    """What its newest push put into its column."""
    past: set[int] = field(default_factory=lambda: {0})
    held: bool = False
    """Whether this life of the server was given the delta."""
    receipt: Receipt | None = None

    @property
    def id(self) -> str:
        return f"lease-{self.number:02d}"

    def delta(self) -> Tensors:
        values = np.zeros((3, LEASES), np.float32)
        values[:, self.number] = [self.value, 2 * self.value, -self.value]
        return {"a/values": values}


@dataclass(frozen=True)
class Reading:
    """What a lock server read of its state, before it tells the parameter server."""

    seen: Round | None
    base: Receipt | None
    committed: tuple[tuple[str, Receipt], ...]
    live: frozenset[str]


class World:
    """Truth (leases, commits, base) and a parameter server that is told about it."""

    def __init__(self, folder: Path) -> None:
        self.store = DirectoryStore(folder)
        self.leases: list[Lease] = []
        self.base: Receipt | None = None
        self.committed: list[Lease] = []
        self.seen: Round | None = None
        self._lives = 0
        self.manifests = 0
        self.start()

    def start(self) -> None:
        """A new life of the server: its memory is empty."""
        self._lives += 1
        self.jobs = Jobs(
            ParameterObjects(self.store, max_bytes=1 << 20),
            ParamServerMetrics(CollectorRegistry()),
            server_id=f"life-{self._lives}",
            max_jobs=4,
        )
        for lease in self.leases:
            lease.held = lease.receipt is not None

    def grant(self) -> Lease:
        lease = Lease(len(self.leases))
        self.leases.append(lease)
        return lease

    def push(self, lease: Lease, value: int) -> None:
        lease.sequence += 1
        lease.value = value
        lease.past.add(value)
        self.jobs.push(JOB, lease.id, lease.sequence, lease.delta())
        lease.held = True

    def seal(self, lease: Lease) -> Receipt:
        lease.receipt = self.jobs.seal(JOB, lease.id, lease.sequence)
        return lease.receipt

    def commit(self, lease: Lease) -> None:
        lease.status = "committed"
        self.committed.append(lease)

    def read(self) -> Reading:
        return Reading(
            self.seen,
            self.base,
            tuple((lease.id, lease.receipt) for lease in self.committed if lease.receipt is not None),
            frozenset(lease.id for lease in self.leases if lease.status == "live"),
        )

    def settle(self, reading: Reading | None = None) -> None:
        told = reading if reading is not None else self.read()
        self.seen = self.jobs.settle(JOB, told.seen, told.base, told.committed, told.live)

    def compact(self, *, leave: int = 0) -> Receipt:
        """Write a base, as a lock server does for a manifest, and let the state begin with it.

        The last `leave` leases were committed while the manifest was made: they stay behind it.
        """
        self.manifests += 1
        folded = self.committed[: max(len(self.committed) - leave, 0)]
        deltas = [(lease.id, lease.receipt) for lease in folded if lease.receipt is not None]
        receipt = self.jobs.compact(JOB, self.manifests, self.base, deltas, f"nonce{self._lives}")
        self.base, self.committed = receipt, self.committed[len(folded) :]
        return receipt

    def counted(self) -> list[float]:
        """For each lease, the value that a pull shows in its column."""
        values = self.jobs.pull(JOB, ["a/values"])["a/values"] - np.float32(0.5)
        assert np.array_equal(values[1], 2 * values[0])
        assert np.array_equal(values[2], -values[0])
        return [float(values[0, lease.number]) for lease in self.leases]

    def expected_permanent(self) -> Tensors:
        """Initial values plus every lease that is committed in truth and not behind the base."""
        expected = initial()
        for lease in self.leases:
            if lease.status == "committed" and lease not in self.committed:
                expected["a/values"] = expected["a/values"] + lease.delta()["a/values"]
        return expected
