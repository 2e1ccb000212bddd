"""`python -m services.lockserver`: a lock server, configured by GRAPHBED_* variables."""

import os
import sys
from collections.abc import Mapping

from prometheus_client import REGISTRY

from graphbed.clients.parameters import ParameterClient
from graphbed.rpc import environment
from graphbed.rpc.call_metrics import ClientCalls
from graphbed.rpc.process import run_process
from graphbed.storage.address import open_store
from graphbed.storage.probe import probe_create_once
from services.lockserver.server import LockServer, start_lockserver
from services.lockserver.settings import LockServerSettings
from services.lockserver.state_address import open_state


def start(environ: Mapping[str, str]) -> LockServer:
    """Reach the stores and start. GRAPHBED_PARAMSERVER may be missing where no job has relation parameters."""
    settings = LockServerSettings.from_environment(environ)
    store = open_store(environment.required(environ, "GRAPHBED_STORE"), environ)
    probe_create_once(store)
    state = open_state(environment.required(environ, "GRAPHBED_STATE"), environ)
    address = environment.optional(environ, "GRAPHBED_PARAMSERVER")
    parameters = ParameterClient(address, calls=ClientCalls(REGISTRY)) if address else None
    return start_lockserver(settings, store=store, state=state, parameters=parameters, registry=REGISTRY)


if __name__ == "__main__":
    sys.exit(run_process(lambda: start(os.environ), environ=os.environ, service="lockserver"))
