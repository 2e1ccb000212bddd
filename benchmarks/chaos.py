"""Chaos: a job of many short leases on real processes, which are killed, frozen and restarted by a seeded schedule.

    .venv/bin/python benchmarks/chaos.py --seed 1 --faults 1000

Two lock servers on one Redis, two partition servers and a parameter server on one S3 server, and four trainers. The
schedule is a function of the seed; when each fault meets which work is not. At the end the job must have completed with
every bucket committed exactly once an epoch. Writes results/chaos-<seed>.json.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from graphbed.clients.lockserver import LockServerClient
from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job
from graphbed.errors import GraphbedError
from graphbed.storage.address import open_store
from graphbed.storage.chain import commit_log
from graphbed.storage.manifest import manifest_sequences
from graphbed.v1 import lockserver_pb2
from tests.fixtures.graphs import codex_job, ingest_quietly
from tests.fixtures.history import check_history
from tests.fixtures.processes import ServiceProcess, clean_environment
from tests.fixtures.redis import RedisProcess
from tests.fixtures.s3 import S3Process

SERVERS = ("lockserver-0", "lockserver-1", "partitionserver-0", "partitionserver-1", "paramserver")
TRAINERS = tuple(f"trainer-{n}" for n in range(4))
TTL_SECONDS = 5.0
EPOCHS_A_FAULT_PERCENT = 35
"""Long enough that the job outlives the faults: 28 leases are an epoch, and a fault takes about two seconds."""
QUIET_SECONDS = 600.0
"""Without faults, a job that has not ended after this long never ends."""


class Cluster:
    """All processes of the cluster by name; each can be ended and started again where it was."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.redis = RedisProcess(folder / "redis", durable=True)
        self.s3 = stack.enter_context(S3Process(folder / "s3"))
        self.redis.start()
        stack.callback(self.redis.kill)
        self.place = self.s3.place()
        self._environment = {
            **clean_environment(),
            **self.place.environ,
            "GRAPHBED_STORE": self.place.url,
            "GRAPHBED_STATE": self.redis.url,
            "GRAPHBED_GRACE_SECONDS": "10",
        }
        self._processes: dict[str, ServiceProcess] = {}
        self._addresses: dict[str, str] = {}
        self.logs: list[Path] = []
        for name in SERVERS[::-1]:
            self.start(name)
        for name in TRAINERS:
            self.start(name)

    def start(self, name: str) -> None:
        """Start the process on the address it had before, if it had one."""
        service, _, number = name.partition("-")
        more = {"GRAPHBED_LISTEN": self._addresses[name]} if name in self._addresses and service != "trainer" else {}
        if service == "lockserver":
            more["GRAPHBED_PARAMSERVER"] = self._addresses["paramserver"]
        if service == "trainer":
            more |= {
                "GRAPHBED_LOCKSERVER": self._addresses[f"lockserver-{int(number) % 2}"],
                "GRAPHBED_PARTITIONSERVERS": ",".join(self._addresses[f"partitionserver-{n}"] for n in range(2)),
                "GRAPHBED_PARAMSERVER": self._addresses["paramserver"],
                "GRAPHBED_TRAINER_THREADS": "1",
            }
        process = self._stack.enter_context(_Unawaited(service, self._folder, {**self._environment, **more}))
        self._processes[name] = process
        self.logs.append(process.log_path)
        if name not in self._addresses:
            self._addresses[name] = process.wait_until_serving().address

    def end(self, name: str, number: signal.Signals) -> None:
        """Send the signal and wait for the end, by force after 20 seconds."""
        process = self._processes[name].process
        process.send_signal(number)
        try:
            process.wait(20)
        except Exception:
            process.kill()
            process.wait()

    def freeze(self, name: str) -> None:
        """The process stands still."""
        self._processes[name].process.send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """It goes on."""
        self._processes[name].process.send_signal(signal.SIGCONT)

    def restart_dead(self) -> int:
        """Start again what ended by itself; return how many did."""
        dead = [name for name, process in self._processes.items() if process.process.poll() is not None]
        for name in dead:
            self.start(name)
        return len(dead)

    def address(self, name: str) -> str:
        return self._addresses[name]


class _Unawaited(ServiceProcess):
    """A process that nobody waits for: what it needs to start may be down."""

    def __enter__(self) -> "_Unawaited":
        return self


def job(store: str, *, epochs: int) -> JobConfig:
    return codex_job(
        store,
        num_epochs=epochs,
        entities={"entity": {"num_partitions": 8}},
        num_groups=8,
        num_uniform_negs=20,
        lease={"ttl_seconds": TTL_SECONDS},
        checkpoint={"interval_seconds": 3.0},
    )


class Chaos:
    """Does one fault after another."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self.happened: Counter[str] = Counter()

    def fault(self) -> None:
        """One fault, and its end: everything runs again afterwards."""
        what = self._random.choices(
            [self._kill, self._terminate, self._freeze, self._redis, self._s3], weights=[8, 4, 4, 2, 1]
        )[0]
        what()
        self.happened["died by itself"] += self._cluster.restart_dead()

    def _kill(self) -> None:
        name = self._victim()
        self._cluster.end(name, signal.SIGKILL)
        self._note("kill", name)
        time.sleep(self._random.uniform(0, 1))
        self._cluster.start(name)

    def _terminate(self) -> None:
        name = self._victim()
        self._cluster.end(name, signal.SIGTERM)
        self._note("terminate", name)
        self._cluster.start(name)

    def _freeze(self) -> None:
        name = self._victim()
        self._cluster.freeze(name)
        time.sleep(self._random.choice([0.5, 2.0, TTL_SECONDS + 2]))
        self._cluster.thaw(name)
        self._note("freeze", name)

    def _redis(self) -> None:
        what = self._random.choice(["kill", "freeze"])
        if what == "kill":
            self._cluster.redis.kill()
            time.sleep(self._random.uniform(0, 1))
            self._cluster.redis.start()
        else:
            self._cluster.redis.pause()
            time.sleep(self._random.choice([0.5, 3.0]))
            self._cluster.redis.resume()
        self._note(what, "redis")

    def _s3(self) -> None:
        self._cluster.s3.kill()
        time.sleep(self._random.uniform(0, 2))
        self._cluster.s3.start()
        self._note("kill", "s3")

    def _victim(self) -> str:
        return self._random.choice([*SERVERS, *TRAINERS])

    def _note(self, fault: str, victim: str) -> None:
        self.happened[f"{fault} {victim.partition('-')[0]}"] += 1


def ask(cluster: Cluster, job_name: str) -> lockserver_pb2.GetJobResponse | None:
    for name in SERVERS[:2]:
        try:
            with LockServerClient(cluster.address(name)) as client:
                return client.get_job(job_name)
        except GraphbedError:
            continue
    return None


def wait_for(what: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.2)
    return False


def run(seed: int, faults: int, folder: Path) -> dict[str, object]:
    with ExitStack() as stack:
        cluster = Cluster(folder, stack)
        store = open_store(cluster.place.url, cluster.place.environ)
        config = job(cluster.place.url, epochs=max(faults * EPOCHS_A_FAULT_PERCENT // 100, 4))
        ingest_quietly(config, store)
        with LockServerClient(cluster.address("lockserver-0")) as client:
            client.submit(dump_job(config))
        chaos, started = Chaos(cluster, seed), time.monotonic()

        def completed() -> bool:
            reply = ask(cluster, config.job)
            return reply is not None and reply.summary.status == lockserver_pb2.JOB_STATUS_COMPLETED

        done = 0
        while done < faults and not completed():
            chaos.fault()
            done += 1
            if done % 20 == 0:
                reply = ask(cluster, config.job)
                told = f"epoch {reply.summary.epoch}" if reply else "nobody answers"
                print(f"{done} faults, {time.monotonic() - started:.0f} s, {told}", flush=True)
        assert wait_for(completed, QUIET_SECONDS), "the job does not end"
        commits = check_history(store, config)
        logs = "".join(path.read_text(errors="replace") for path in cluster.logs)
        return {
            "seed": seed,
            "faults": done,
            "happened": dict(sorted(chaos.happened.items())),
            "seconds": round(time.monotonic() - started, 1),
            "commits": len(commits),
            "manifests": len(manifest_sequences(store, config.job)),
            "leases_expired": logs.count("lease expired"),
            "leases_released": logs.count("lease released"),
            "leases_lost_by_trainers": logs.count("lease lost"),
            "commit_log": len(commit_log(store, config.job)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="keep all logs here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result = run(arguments.seed, arguments.faults, arguments.folder or Path(temporary))
    print(json.dumps(result, indent=1))
    out = Path(__file__).parent / "results" / f"chaos-{arguments.seed}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
