"""Trainer processes of a standalone cluster: started, watched, started again, ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphbed.errors import WRONG_INPUT, GraphbedError, InputError
from graphbed.logs import get_logger
from graphbed.model.threads import BLAS_ENVIRONMENT

log = get_logger()

MAX_RESTARTS = 20
"""Of all trainers together; a trainer that keeps dying is a fault to be shown, not hidden."""

GIVE_UP_AFTER = 3
"""Failed leases in a row: there is one job, so a trainer that cannot work on it should say why and end."""

_NOT_INHERITED = ("GRAPHBED_METRICS_LISTEN", "GRAPHBED_ADDRESS_FILE", "GRAPHBED_TRAINER_ID")
"""Meant for one process; several trainers would fight over them."""

_LAST_WORDS = "graphbed-trainer: "


class TrainersFailed(GraphbedError):
    """The trainers failed: {what}"""


@dataclass(slots=True, kw_only=True)
class _Place:
    """One of the N trainers, whichever process it is now."""

    log_path: Path
    process: subprocess.Popen[bytes]


class TrainerProcesses:
    """N processes of `python -m services.trainer`; each one that is killed is replaced."""

    def __init__(self, count: int, *, environment: Mapping[str, str], log_folder: Path, grace_seconds: float) -> None:
        """`environment` is added to that of this process; each trainer logs to a file of its own in `log_folder`."""
        self._count = count
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        self._environment = {
            **inherited,
            **BLAS_ENVIRONMENT,
            **environment,
            "GRAPHBED_LISTEN": "127.0.0.1:0",
            "GRAPHBED_GIVE_UP_AFTER": str(GIVE_UP_AFTER),
            "GRAPHBED_GRACE_SECONDS": str(grace_seconds),
            "GRAPHBED_PARENT_PID": str(os.getpid()),
        }
        self._log_folder = log_folder
        self._grace_seconds = grace_seconds
        self._places: list[_Place] = []
        self._restarts = 0

    @property
    def pids(self) -> list[int]:
        """Process ids of the living trainers."""
        return [place.process.pid for place in self._places if place.process.poll() is None]

    def start(self) -> None:
        """Start all of them, with empty logs."""
        self._log_folder.mkdir(parents=True, exist_ok=True)
        for number in range(self._count):
            log_path = self._log_folder / f"trainer-{number}.log"
            log_path.write_bytes(b"")
            self._places.append(_Place(log_path=log_path, process=self._spawn(log_path)))

    def tend(self) -> None:
        """Replace trainers that were killed, but not those that were drained.

        Raises InputError or TrainersFailed when one gave up, too many died, or none is left.
        """
        for place in list(self._places):
            code = place.process.poll()
            if code is None:
                continue
            if code == 0:
                log.info("trainer drained", pid=place.process.pid)
                self._places.remove(place)
                if not self._places:
                    raise InputError(what="all trainers were drained; run again to go on")
                continue
            if code == WRONG_INPUT:
                raise InputError(what=_last_words(place.log_path))
            if code > 0:
                raise TrainersFailed(what=_last_words(place.log_path), log=place.log_path)
            if self._restarts >= MAX_RESTARTS:
                raise TrainersFailed(what=f"{MAX_RESTARTS} were killed and replaced already", log=place.log_path)
            self._restarts += 1
            log.warning("trainer replaced", pid=place.process.pid, signal=-code)
            place.process = self._spawn(place.log_path)

    def stop(self) -> None:
        """SIGTERM to all, which hands their leases back; SIGKILL to those that need longer than the grace."""
        for place in self._places:
            if place.process.poll() is None:
                place.process.send_signal(signal.SIGTERM)
        # A little longer than the trainers' own grace, so that they end by themselves.
        deadline = time.monotonic() + self._grace_seconds + 2.0
        for place in self._places:
            try:
                place.process.wait(timeout=max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                place.process.kill()
                place.process.wait()

    def _spawn(self, log_path: Path) -> subprocess.Popen[bytes]:
        with log_path.open("ab") as output:
            # A session of its own: Ctrl-C reaches the parent alone, which then ends the trainers in order.
            return subprocess.Popen(
                [sys.executable, "-m", "services.trainer"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def _last_words(log_path: Path) -> str:
    """The one line that a trainer says when it gives up, or the last line of its log."""
    lines = log_path.read_text(errors="replace").strip().splitlines()
    words = [line.removeprefix(_LAST_WORDS) for line in lines if line.startswith(_LAST_WORDS)]
    return (words or lines or ["no output"])[-1][-500:]
