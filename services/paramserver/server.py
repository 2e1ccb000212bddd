"""Puts a parameter server together and starts it."""

import secrets
from collections.abc import Callable

import grpc
from prometheus_client import CollectorRegistry

from graphbed.rpc.server import RunningServer, start_server
from graphbed.storage.measured import MeasuredStore, ObjectStoreMetrics
from graphbed.storage.objects import ObjectStore
from graphbed.storage.probe import require_answer
from graphbed.v1 import paramserver_pb2_grpc
from services.paramserver.jobs import Jobs
from services.paramserver.metrics import ParamServerMetrics
from services.paramserver.objects import ParameterObjects
from services.paramserver.servicer import ParamServicer
from services.paramserver.settings import ParamServerSettings

SERVICE_NAME = "graphbed.v1.ParamServer"


def new_random_id() -> str:
    """128 random bits, hexadecimal."""
    return secrets.token_hex(16)


def start_paramserver(
    settings: ParamServerSettings,
    *,
    store: ObjectStore,
    registry: CollectorRegistry,
    random_id: Callable[[], str] = new_random_id,
) -> RunningServer:
    """Start serving; `random_id` names this life of the server and the objects it makes.

    Raises StoreUnavailable or StoreDenied if the store does not answer, InputError.
    """
    store = MeasuredStore(store, ObjectStoreMetrics(registry))
    require_answer(store)
    jobs = Jobs(
        ParameterObjects(store, max_bytes=settings.max_job_bytes),
        ParamServerMetrics(registry),
        server_id=random_id(),
        max_jobs=settings.max_jobs,
    )
    servicer = ParamServicer(jobs, max_job_bytes=settings.max_job_bytes, random_id=random_id)

    def register(server: grpc.Server) -> None:
        paramserver_pb2_grpc.add_ParamServerServicer_to_server(servicer, server)

    return start_server(
        service_name=SERVICE_NAME,
        register=register,
        listen=settings.listen,
        metrics_listen=settings.metrics_listen,
        registry=registry,
    )
