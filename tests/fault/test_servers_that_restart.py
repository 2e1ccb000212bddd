"""Parameter and partition servers that are killed in mid-job and started again: nothing is lost, no trainer ends."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from graphbed.clients.lockserver import LockServerClient
from graphbed.config.load import dump_job
from graphbed.errors import ServerUnreachable
from graphbed.storage.address import open_store
from graphbed.v1 import lockserver_pb2
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url
from tests.fixtures.history import check_history
from tests.fixtures.processes import ServiceProcess, clean_environment, last_words

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("victim", ["paramserver", "partitionserver", "lockserver"])
def test_a_killed_server_that_comes_back_costs_no_lease_and_no_trainer(tmp_path: Path, victim: str) -> None:
    config = codex_job(store_url(tmp_path), num_epochs=4, num_uniform_negs=600, lease={"ttl_seconds": 20.0})
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    clean = clean_environment()
    environment = {**clean, "GRAPHBED_STORE": config.store, "GRAPHBED_STATE": str(tmp_path / "state")}
    processes: list[ServiceProcess] = []
    with ExitStack() as stack:

        def start(name: str, **more: str) -> ServiceProcess:
            processes.append(stack.enter_context(ServiceProcess(name, tmp_path, {**environment, **more})))
            return processes[-1]

        servers = {name: start(name) for name in ("paramserver", "partitionserver")}
        servers["lockserver"] = start("lockserver", GRAPHBED_PARAMSERVER=servers["paramserver"].address)
        addresses = {
            "GRAPHBED_LOCKSERVER": servers["lockserver"].address,
            "GRAPHBED_PARTITIONSERVERS": servers["partitionserver"].address,
            "GRAPHBED_PARAMSERVER": servers["paramserver"].address,
        }
        locks = stack.enter_context(LockServerClient(servers["lockserver"].address))
        locks.submit(dump_job(config))
        trainers = [start("trainer", GRAPHBED_TRAINER_THREADS="1", **addresses) for _ in range(2)]

        def done() -> int:
            return int(locks.get_job(config.job).summary.buckets_done)

        def completed() -> bool:
            try:
                return locks.get_job(config.job).summary.status == lockserver_pb2.JOB_STATUS_COMPLETED
            except ServerUnreachable:  # this client waits a moment before it connects to a restarted lock server
                return False

        deadline = time.monotonic() + 90
        while done() < 8:
            assert time.monotonic() < deadline, last_words(processes)
            time.sleep(0.02)
        address = servers[victim].address
        servers[victim].process.kill()
        servers[victim].process.wait()
        time.sleep(1.0)
        more = {"GRAPHBED_PARAMSERVER": addresses["GRAPHBED_PARAMSERVER"]} if victim == "lockserver" else {}
        start(victim, GRAPHBED_LISTEN=address, **more)
        deadline = time.monotonic() + 120
        while not completed():
            assert time.monotonic() < deadline, last_words(processes)
            time.sleep(0.1)
        assert [trainer.process.poll() for trainer in trainers] == [None, None]
        assert "lease lost" not in trainers[0].log() + trainers[1].log()
    check_history(store, config)
