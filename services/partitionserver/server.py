"""Puts a partition server together and starts it."""

import grpc
from prometheus_client import CollectorRegistry

from graphbed.clock import Clock, SystemClock
from graphbed.rpc.server import RunningServer, start_server
from graphbed.storage.measured import MeasuredStore, ObjectStoreMetrics
from graphbed.storage.objects import ObjectStore
from graphbed.storage.probe import require_answer
from graphbed.v1 import partitionserver_pb2_grpc
from services.partitionserver.cache import VersionCache
from services.partitionserver.disk_tier import DiskTier
from services.partitionserver.metrics import PartitionServerMetrics
from services.partitionserver.readiness import Readiness
from services.partitionserver.servicer import PartitionServicer
from services.partitionserver.settings import PartitionServerSettings
from services.partitionserver.versions import Versions

SERVICE_NAME = "graphbed.v1.PartitionServer"


class PartitionServer:
    """A partition server that answers calls until it is stopped."""

    def __init__(self, running: RunningServer, readiness: Readiness) -> None:
        self._running = running
        self._readiness = readiness
        self.address = running.address
        """host:port that is really bound."""
        self.metrics_address = running.metrics_address
        """host:port of /metrics, or None."""

    def stop(self, grace_seconds: float) -> None:
        """Refuse new calls and let running ones end for at most `grace_seconds`."""
        self._readiness.stop()
        self._running.stop(grace_seconds)


def start_partitionserver(
    settings: PartitionServerSettings,
    *,
    store: ObjectStore,
    registry: CollectorRegistry,
    clock: Clock | None = None,
) -> PartitionServer:
    """Start serving. Raises StoreUnavailable or StoreDenied if the store does not answer, InputError."""
    store = MeasuredStore(store, ObjectStoreMetrics(registry))
    require_answer(store)
    metrics = PartitionServerMetrics(registry)
    disk = DiskTier(settings.disk_cache_path, settings.disk_cache_bytes) if settings.disk_cache_path else None
    cache = VersionCache(settings.memory_cache_bytes, disk, metrics)
    servicer = PartitionServicer(Versions(store, cache, metrics, max_partition_bytes=settings.max_partition_bytes))

    def register(server: grpc.Server) -> None:
        partitionserver_pb2_grpc.add_PartitionServerServicer_to_server(servicer, server)

    running = start_server(
        service_name=SERVICE_NAME,
        register=register,
        listen=settings.listen,
        metrics_listen=settings.metrics_listen,
        registry=registry,
    )
    readiness = Readiness(store, clock or SystemClock(), running.set_serving)
    readiness.start()
    return PartitionServer(running, readiness)
