"""`python -m services.paramserver`: a parameter server configured by GRAPHBED_*."""

import os
import sys

from prometheus_client import REGISTRY

from graphbed.rpc import environment
from graphbed.rpc.process import run_process
from graphbed.rpc.server import RunningServer
from graphbed.storage.address import open_store
from services.paramserver.server import start_paramserver
from services.paramserver.settings import ParamServerSettings


def main() -> int:
    """Serve until SIGTERM; return the exit code: 0, or 2 if the server could not start."""

    def start() -> RunningServer:
        settings = ParamServerSettings.from_environment(os.environ)
        store = open_store(environment.required(os.environ, "GRAPHBED_STORE"), os.environ)
        return start_paramserver(settings, store=store, registry=REGISTRY)

    return run_process(start, environ=os.environ, service="paramserver")


if __name__ == "__main__":
    sys.exit(main())
