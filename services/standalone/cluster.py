"""A whole cluster on one machine: the three servers in this process, the trainers in processes of their own."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import LockServerClient
from graphbed.clients.parameters import ParameterClient
from graphbed.storage.address import open_store
from graphbed.v1 import lockserver_pb2
from services.lockserver.file_store import FileStateStore
from services.lockserver.server import LockServer, start_lockserver
from services.lockserver.settings import LockServerSettings
from services.paramserver.server import start_paramserver
from services.paramserver.settings import ParamServerSettings
from services.partitionserver.server import start_partitionserver
from services.partitionserver.settings import PartitionServerSettings
from services.standalone.lock import FolderLock
from services.standalone.trainers import TrainerProcesses

GRACE_SECONDS = 10.0
ANY_PORT = "127.0.0.1:0"


def state_folder(store_url: str) -> Path:
    """Where a standalone cluster keeps its state: inside a directory store, else in the user's cache."""
    path = store_url.removeprefix("file://")
    if "://" in path:
        safe = "".join(letter if letter.isalnum() else "-" for letter in path)
        return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "graphbed" / "state" / safe
    return Path(path) / "state"


class StandaloneCluster:
    """Use as a context: servers and trainers live inside it. The same parts as a cluster of containers."""

    def __init__(self, store_url: str, *, job: str, trainers: int, threads: int, environ: Mapping[str, str]) -> None:
        """Works on `job` alone, whatever else is in the store.

        `threads`: Hogwild threads of each trainer; 0 = the cores of this machine divided among the trainers.
        """
        self._job = job
        self._store_url = store_url
        self._environ = environ
        self._trainer_count = trainers
        self._threads = threads or max(len(os.sched_getaffinity(0)) // max(trainers, 1), 1)
        self._folder = state_folder(store_url)
        self._stack = ExitStack()
        self.registry = CollectorRegistry()
        """The lock server's metrics."""
        self.lockserver: LockServer
        self.locks: LockServerClient
        self.trainers: TrainerProcesses

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(FolderLock(self._folder))
            store = open_store(self._store_url, self._environ)
            partitions = start_partitionserver(
                PartitionServerSettings(listen=ANY_PORT), store=store, registry=CollectorRegistry()
            )
            stack.callback(partitions.stop, 1.0)
            parameters = start_paramserver(
                ParamServerSettings(listen=ANY_PORT), store=store, registry=CollectorRegistry()
            )
            stack.callback(parameters.stop, 1.0)
            parameter_client = ParameterClient(parameters.address)
            stack.callback(parameter_client.close)
            self.lockserver = start_lockserver(
                LockServerSettings(listen=ANY_PORT, only_job=self._job),
                store=store,
                state=FileStateStore(self._folder),
                parameters=parameter_client,
                registry=self.registry,
            )
            stack.callback(self.lockserver.stop, 5.0)
            self.locks = LockServerClient(self.lockserver.address)
            stack.callback(self.locks.close)
            self.trainers = TrainerProcesses(
                self._trainer_count,
                environment={
                    **self._environ,
                    "GRAPHBED_STORE": self._store_url,
                    "GRAPHBED_LOCKSERVER": self.lockserver.address,
                    "GRAPHBED_PARTITIONSERVERS": partitions.address,
                    "GRAPHBED_PARAMSERVER": parameters.address,
                    "GRAPHBED_TRAINER_THREADS": str(self._threads),
                },
                log_folder=self._folder / "logs",
                grace_seconds=GRACE_SECONDS,
            )
            # Last in, first out: the trainers hand their leases back while the servers still live.
            stack.callback(self.trainers.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def submit(self, config_yaml: str) -> bool:
        """Add the job or find it again, let it run on if it is paused, void what a cluster that died left behind, start
        the trainers.

        Returns whether the job is new. Raises ConfigDiffers, GraphMissing.
        """
        job, created = self.locks.submit(config_yaml)
        if self.locks.get_job(job).summary.status == lockserver_pb2.JOB_STATUS_PAUSED:
            self.locks.resume(job)
        self.lockserver.revoke_all(job)
        self.trainers.start()
        return created
