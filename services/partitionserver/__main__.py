"""`python -m services.partitionserver`: a partition server configured by GRAPHBED_*."""

import os
import sys

from prometheus_client import REGISTRY

from graphbed.rpc import environment
from graphbed.rpc.process import run_process
from graphbed.storage.address import open_store
from services.partitionserver.server import PartitionServer, start_partitionserver
from services.partitionserver.settings import PartitionServerSettings


def main() -> int:
    """Serve until SIGTERM; return the exit code: 0, or 2 if the server could not start."""

    def start() -> PartitionServer:
        settings = PartitionServerSettings.from_environment(os.environ)
        store = open_store(environment.required(os.environ, "GRAPHBED_STORE"), os.environ)
        return start_partitionserver(settings, store=store, registry=REGISTRY)

    return run_process(start, environ=os.environ, service="partitionserver")


if __name__ == "__main__":
    sys.exit(main())
