"""The cluster under test: Compose for what its user does, the engine and the host for what befalls it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
from docker.errors import APIError
from docker.models.containers import Container

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "docker-compose.offline.yml", "tests/e2e/compose.yml")
COMPOSE = Path(sys.executable).parent / "docker-compose"
PROJECT = "graphbed-e2e"
LONG_RUNNING = (
    "redis", "store", "lockserver", "partitionserver-1", "partitionserver-2", "paramserver", "trainer", "prometheus"
)  # fmt: skip


UP_SECONDS = 180.0
"""A health check that a busy machine answers late makes Compose give up at once; its user asks again."""


class Cluster:
    """One project of Compose, of its own name and on ports of its own; `environ` is what Compose is told."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {**os.environ, "COMPOSE_PROFILES": "demo", **environ}
        self._engine = docker.from_env()

    def compose(self, *arguments: str) -> str:
        """Run `docker-compose`; return what it printed. Raises AssertionError with it if it failed."""
        files = [argument for name in FILES for argument in ("-f", str(ROOT / name))]
        command = [str(COMPOSE), "-p", PROJECT, "--project-directory", str(ROOT), *files, *arguments]
        done = subprocess.run(
            command, env=self._environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, (
            f"docker-compose {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
        )
        return done.stdout

    def up(self, *, trainers: int) -> None:
        """Start what is not running, with so many trainers; what runs already stays as it is."""
        began = time.monotonic()
        while True:
            try:
                self.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", f"trainer={trainers}")
                return
            except AssertionError:
                if time.monotonic() - began > UP_SECONDS:
                    raise
                time.sleep(5.0)

    def down(self, *, volumes: bool) -> None:
        self.compose("down", *(["--volumes"] if volumes else []))

    def containers(self, service: str) -> list[Container]:
        """The service's containers by number, with their state as it is now."""
        labels = [f"com.docker.compose.project={PROJECT}", f"com.docker.compose.service={service}"]
        found = self._engine.containers.list(all=True, filters={"label": labels})
        return sorted(found, key=lambda container: int(container.labels["com.docker.compose.container-number"]))

    def unhealthy(self) -> list[str]:
        """What does not run, or says of itself that it is not healthy."""
        found = []
        for service in LONG_RUNNING:
            for container in self.containers(service):
                state = container.attrs["State"]
                health = state.get("Health", {}).get("Status", "healthy")
                if not state["Running"] or state["Paused"] or health != "healthy":
                    found.append(f"{container.name}: {state['Status']}, {health}")
        return found

    def kill(self, container: Container) -> None:
        """kill -9 of its first process, from the host; the engine calls that a crash, and starts it again."""
        pid = container.attrs["State"]["Pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: self._pid(container) not in (0, pid), seconds=60.0, what=lambda: f"{container.name} stays down"
        )

    def _pid(self, container: Container) -> int:
        container.reload()
        return int(container.attrs["State"]["Pid"])

    def hang(self, container: Container, seconds: float) -> None:
        """All of its processes stand still for a while."""
        wait_until(lambda: self._pause(container), seconds=30.0, what=lambda: f"{container.name} cannot be paused")
        time.sleep(seconds)
        container.unpause()

    @staticmethod
    def _pause(container: Container) -> bool:
        """Whether the engine could: on cgroup v1 it cannot freeze what waits for its share of a core just then."""
        try:
            container.pause()
        except APIError:
            return False
        return True

    def cut_off(self, container: Container, seconds: float) -> None:
        """Nobody reaches it and it reaches nobody for a while."""
        name, network = next(iter(container.attrs["NetworkSettings"]["Networks"].items()))
        bridge = self._engine.networks.get(name)
        bridge.disconnect(container)
        time.sleep(seconds)
        bridge.connect(container, aliases=network["Aliases"])

    def give_cores(self, container: Container, cores: float) -> None:
        """So many cores from now on; it keeps them over a restart."""
        container.update(cpu_period=100_000, cpu_quota=round(cores * 100_000))

    def exit_codes(self, since: float) -> dict[str, list[int]]:
        """The codes with which containers ended since then, by service, as the engine's events tell."""
        filters = {"event": "die", "label": f"com.docker.compose.project={PROJECT}"}
        codes: dict[str, list[int]] = {}
        for event in self._engine.events(since=int(since), until=int(time.time()) + 1, filters=filters, decode=True):
            attributes = event["Actor"]["Attributes"]
            codes.setdefault(attributes["com.docker.compose.service"], []).append(int(attributes["exitCode"]))
        return codes

    def read(self, service: str, path: str) -> str:
        """A file of a running container."""
        code, output = self.containers(service)[0].exec_run(["cat", path])
        assert code == 0, f"{path} in {service}: {output.decode(errors='replace')}"
        return output.decode().strip()

    def image_megabytes(self) -> dict[str, int]:
        """The size of each of our own images. MB."""
        return {
            name: round(self._engine.images.get(f"graphbed/{name}:0.1.0").attrs["Size"] / 1e6)
            for name in ("lockserver", "partitionserver", "paramserver", "trainer")
        }


def wait_until(holds: Callable[[], bool], *, seconds: float, what: Callable[[], str]) -> float:
    """Wait for it; return the seconds that took. Raises AssertionError that tells `what` after `seconds`."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what()}"
        time.sleep(0.25)
    return time.monotonic() - began
