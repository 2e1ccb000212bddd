"""What befalls the cluster: every service killed, hung and cut off from the rest, the two stores restarted."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from docker.models.containers import Container

from tests.e2e.cluster import Cluster

OWN = ("trainer", "lockserver", "partitionserver-1", "paramserver")
STORES = ("redis", "store")
LEASE_SECONDS = 30.0
"""After so long without a renewal a lease is another's; lease.ttl_seconds of the demonstration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that befalls one container of a service."""

    kind: str
    """killed, hung, cut off or restarted."""
    service: str
    seconds: float = 0.0
    """How long it lasts."""

    def __str__(self) -> str:
        return f"{self.service} {self.kind}" + (f" for {self.seconds:.0f} s" if self.seconds else "")

    def strike(self, cluster: Cluster, container: Container) -> None:
        """Do it to this container of the service; return when it is over."""
        match self.kind:
            case "killed":
                cluster.kill(container)
            case "hung":
                cluster.hang(container, self.seconds)
            case "cut off":
                cluster.cut_off(container, self.seconds)
            case "restarted":
                container.restart(timeout=20)


def all_faults(draw: random.Random) -> list[Fault]:
    """Every fault once, in an order of its own for each seed.

    A trainer hangs for longer than its lease, so that it wakes up with a lease that is another's; the others hang for
    less than a lease.
    """
    faults = [Fault(kind="killed", service=service) for service in (*OWN, *STORES, "prometheus")]
    faults += [Fault(kind="hung", service=service, seconds=8.0) for service in (*OWN[1:], *STORES)]
    faults += [Fault(kind="hung", service="trainer", seconds=LEASE_SECONDS + 5.0)]
    faults += [Fault(kind="cut off", service=service, seconds=8.0) for service in (*OWN, *STORES)]
    faults += [Fault(kind="restarted", service=service) for service in STORES]
    draw.shuffle(faults)
    return faults


def deal(faults: list[Fault], piles: int) -> Iterator[list[Fault]]:
    """The faults in so many piles of about the same size."""
    for pile in range(piles):
        yield faults[pile::piles]
