"""The assembled lock server: what the process starts, and what tests start."""

import os
import secrets
import socket
from collections.abc import Callable

import grpc
from prometheus_client import CollectorRegistry

from graphbed.clock import Clock, SystemClock
from graphbed.rpc.server import RunningServer, start_server
from graphbed.storage.measured import MeasuredStore, ObjectStoreMetrics
from graphbed.storage.objects import ObjectStore
from graphbed.v1 import lockserver_pb2, lockserver_pb2_grpc
from services.lockserver import evaluations, fitness, outage
from services.lockserver.collector import Collector
from services.lockserver.coordinator import Coordinator
from services.lockserver.deletion import Deleter
from services.lockserver.housekeeper import Expiry, Repeater
from services.lockserver.jobs import JobTable
from services.lockserver.manifests import ManifestWriter
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.observer import PERIOD_SECONDS, Observer
from services.lockserver.operations import Operations
from services.lockserver.servicer import LockServerServicer
from services.lockserver.settings import LockServerSettings
from services.lockserver.settling import Parameters, Settler
from services.lockserver.state_store import StateStore

SERVICE_NAME = lockserver_pb2.DESCRIPTOR.services_by_name["LockServer"].full_name


class LockServer:
    """A lock server that answers calls and keeps house until it is stopped."""

    def __init__(
        self,
        *,
        running: RunningServer,
        operations: Operations,
        manifests: ManifestWriter,
        repeaters: list[Repeater],
        clock: Clock,
    ) -> None:
        self._running = running
        self._operations = operations
        self._manifests = manifests
        self._repeaters = repeaters
        self._clock = clock

    @property
    def address(self) -> str:
        """host:port that is really bound."""
        return self._running.address

    @property
    def metrics_address(self) -> str | None:
        """host:port of /metrics, or None."""
        return self._running.metrics_address

    def revoke_all(self, job: str) -> None:
        """End all leases of a job, for whoever knows that no trainer lives. Raises JobUnknown."""
        self._operations.revoke_all(job)

    def set_serving(self, serving: bool) -> None:
        """Say whether calls should be sent here."""
        self._running.set_serving(serving)

    def stop(self, grace_seconds: float) -> None:
        """Answer what was asked, stop keeping house, and write a last manifest of what none tells of yet.

        Takes about `grace_seconds` at most, of which running calls get half; a manifest that was begun is finished.
        """
        until = self._clock.monotonic() + grace_seconds
        self._running.stop(grace_seconds / 2)
        for repeater in self._repeaters:
            repeater.stop(max(0.0, until - self._clock.monotonic()))
        self._manifests.write_unrecorded(until=until)


def start_lockserver(
    settings: LockServerSettings,
    *,
    store: ObjectStore,
    state: StateStore,
    parameters: Parameters | None,
    registry: CollectorRegistry,
    clock: Clock | None = None,
    random_hex: Callable[[], str] = lambda: secrets.token_hex(16),
) -> LockServer:
    """Find and restore the jobs of the store, then listen and keep house.

    `parameters` is the parameter server; without one, jobs with relation parameters are never settled. `random_hex`
    gives 128 random bits in hexadecimal. Raises InputError, StateTooNew, StoreUnavailable, StoreDenied.
    """
    clock = clock or SystemClock()
    metrics = LockServerMetrics(registry)
    store = MeasuredStore(store, ObjectStoreMetrics(registry))
    name = f"{socket.gethostname()}/{os.getpid()}"
    jobs = JobTable(store=store, state=state, clock=clock, random_hex=random_hex, metrics=metrics, server=name)
    jobs.open_all()
    manifests = ManifestWriter(
        jobs=jobs, store=store, parameters=parameters, clock=clock, random_hex=random_hex, metrics=metrics
    )
    settler = Settler(jobs=jobs, parameters=parameters, clock=clock, metrics=metrics) if parameters else None
    look_out = outage.Outage(store, clock)
    coordinator = Coordinator(
        jobs=jobs,
        manifests=manifests,
        store=store,
        random_hex=random_hex,
        metrics=metrics,
        parameters_exact=settler.is_exact if settler else lambda *_: False,
        store_away=look_out.is_on,
        only_job=settings.only_job,
    )
    observer = Observer(jobs=jobs, clock=clock, metrics=metrics)
    collector = Collector(jobs=jobs, store=store, clock=clock, metrics=metrics)
    deleter = Deleter(jobs=jobs, manifests=manifests, collector=collector, store=store, parameters=parameters)
    operations = Operations(jobs=jobs, manifests=manifests, collector=collector, deleter=deleter)
    servicer = LockServerServicer(coordinator, operations, observer)

    def register(server: grpc.Server) -> None:
        lockserver_pb2_grpc.add_LockServerServicer_to_server(servicer, server)

    running = start_server(
        service_name=SERVICE_NAME,
        register=register,
        listen=settings.listen,
        metrics_listen=settings.metrics_listen,
        registry=registry,
        max_workers=settings.max_workers,
    )
    ticks = {
        "expiry": Expiry(jobs=jobs, clock=clock, metrics=metrics).tick,
        "manifests": manifests.tick,
        "collector": collector.tick,
    }
    if settler is not None:
        ticks["settling"] = settler.tick
    repeaters = [
        Repeater(name, tick, period_seconds=settings.tick_seconds, clock=clock) for name, tick in ticks.items()
    ]
    watch = fitness.Fitness(jobs=jobs, set_serving=running.set_serving)
    repeaters.append(Repeater("fitness", watch.tick, period_seconds=fitness.PERIOD_SECONDS, clock=clock))
    repeaters.append(Repeater("outage", look_out.tick, period_seconds=outage.PERIOD_SECONDS, clock=clock))
    shown = evaluations.Evaluations(jobs=jobs, store=store, metrics=metrics)
    repeaters.append(Repeater("evaluations", shown.tick, period_seconds=evaluations.PERIOD_SECONDS, clock=clock))
    repeaters.append(Repeater("observing", observer.tick, period_seconds=PERIOD_SECONDS, clock=clock))
    for repeater in repeaters:
        repeater.start()
    return LockServer(running=running, operations=operations, manifests=manifests, repeaters=repeaters, clock=clock)
