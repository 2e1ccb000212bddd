"""Faults of the chaos run: what is done to whom, for how long, and how it ends. All drawn from one source of chance."""

import contextlib
import random
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import redis

from tests.fixtures.cluster import Cluster
from tests.fixtures.proxy import FAIR, Weather

WEIGHTS = {
    "kill": 16,
    "terminate": 8,
    "freeze": 20,
    "freeze beyond ttl": 8,
    "delay": 8,
    "cut": 10,
    "half-open": 8,
    "replies lost": 10,
    "requests lost": 5,
    "disk full": 4,
    "redis restarts": 3,
    "redis restarts empty": 3,
    "redis flushed": 3,
    "redis stalls": 3,
    "s3 restarts": 4,
}
"""Kinds of faults and how many cards each has in the deck."""

WEATHERS = {
    "delay": Weather(delay_seconds=0.3),
    "half-open": Weather(half_open=True),
    "replies lost": Weather(replies_lost=True),
    "requests lost": Weather(requests_lost=True),
}
DISK_BYTES = 48 << 20
"""Size of the disks that get full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, ready to strike."""

    kind: str
    victim: str
    seconds: float
    """How long it lasts."""
    strike: Callable[[], None]
    heal: Callable[[], None]


class FaultBox:
    """Draws faults for a cluster; a victim has one at a time."""

    def __init__(
        self,
        cluster: Cluster,
        chance: random.Random,
        *,
        ttl_seconds: float,
        weights: Mapping[str, int] = MappingProxyType(WEIGHTS),
    ) -> None:
        self._cluster = cluster
        self._chance = chance
        self._ttl_seconds = ttl_seconds
        self._weights = weights
        self._deck: list[str] = []

    def draw(self, busy: set[str]) -> Fault | None:
        """A fault on somebody who is not busy with another; None if there is no such victim.

        Kinds come as cards of a shuffled deck: one whose victims are busy stays for later, so that none is left out.
        """
        if len(self._deck) < len(self._weights):
            self._deck += self._shuffled()
        for kind in self._deck:
            victims = [name for name in self._victims(kind) if name not in busy]
            if victims:
                self._deck.remove(kind)
                return self._make(kind, self._chance.choice(victims))
        return None

    def _shuffled(self) -> list[str]:
        deck = [kind for kind, times in self._weights.items() for _ in range(times)]
        self._chance.shuffle(deck)
        return deck

    def _victims(self, kind: str) -> list[str]:
        processes = [*self._cluster.servers, *self._cluster.trainers]
        if kind.startswith("redis"):
            return ["redis"]
        if kind.startswith("s3"):
            return ["s3"]
        if kind == "disk full":
            return ["redis", *self._cluster.partitionservers]
        if kind in ("cut", *WEATHERS):
            return list(self._cluster.proxies)
        return processes

    def _make(self, kind: str, victim: str) -> Fault:
        if kind in WEATHERS:
            return self._weather(kind, victim)
        maker: dict[str, Callable[[str, str], Fault]] = {
            "kill": lambda k, v: self._end(k, v, signal.SIGKILL),
            "terminate": lambda k, v: self._end(k, v, signal.SIGTERM),
            "freeze": lambda k, v: self._freeze(k, v, self._chance.choice([0.3, 1.0, 2.5])),
            "freeze beyond ttl": lambda k, v: self._freeze(k, v, self._ttl_seconds + 2),
            "cut": self._cut,
            "disk full": self._disk,
            "s3 restarts": self._s3,
        }
        return maker.get(kind, self._redis)(kind, victim)

    def _end(self, kind: str, name: str, number: signal.Signals) -> Fault:
        cluster = self._cluster
        return Fault(
            kind=kind,
            victim=name,
            seconds=self._chance.uniform(0, 1),
            strike=lambda: cluster.send(name, number),
            heal=lambda: cluster.restart(name),
        )

    def _freeze(self, kind: str, name: str, seconds: float) -> Fault:
        cluster = self._cluster
        return Fault(
            kind=kind,
            victim=name,
            seconds=seconds,
            strike=lambda: cluster.freeze(name),
            heal=lambda: cluster.thaw(name),
        )

    def _weather(self, kind: str, name: str) -> Fault:
        proxy = self._cluster.proxies[name]
        return Fault(
            kind=kind,
            victim=name,
            seconds=self._chance.choice([0.5, 1.5, 3.0]),
            strike=lambda: proxy.set(WEATHERS[kind]),
            heal=lambda: proxy.set(FAIR),
        )

    def _cut(self, kind: str, name: str) -> Fault:
        return Fault(kind=kind, victim=name, seconds=0.0, strike=self._cluster.proxies[name].cut, heal=lambda: None)

    def _disk(self, kind: str, name: str) -> Fault:
        filler = disk_of(self._cluster.folder, name) / "filler"

        def heal() -> None:
            filler.unlink(missing_ok=True)
            if name == "redis":
                # It ends itself when it cannot write what it has promised to keep.
                self._cluster.redis.kill()
                self._cluster.redis.start()

        return Fault(kind=kind, victim=name, seconds=2.0, strike=lambda: _fill(filler), heal=heal)

    def _redis(self, kind: str, name: str) -> Fault:
        server = self._cluster.redis

        def start_empty() -> None:
            server.forget()
            server.start()

        def flush() -> None:
            with contextlib.suppress(redis.RedisError):
                server.client().flushall()

        strike, heal = {
            "redis restarts": (server.kill, server.start),
            "redis restarts empty": (server.kill, start_empty),
            "redis flushed": (flush, lambda: None),
            "redis stalls": (server.pause, server.resume),
        }[kind]
        return Fault(kind=kind, victim=name, seconds=self._chance.uniform(0, 1.5), strike=strike, heal=heal)

    def _s3(self, kind: str, name: str) -> Fault:
        server = self._cluster.s3
        assert server is not None

        def start() -> None:
            server.start()

        return Fault(kind=kind, victim=name, seconds=self._chance.uniform(0, 1), strike=server.kill, heal=start)


def disk_of(folder: Path, name: str) -> Path:
    """Where the small disk of a process is mounted."""
    return folder / ("redis" if name == "redis" else f"disk-{name}")


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[None]:
    """A file system of DISK_BYTES at `path`; needs root."""
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _fill(path: Path) -> None:
    """Write until nothing goes in any more."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
