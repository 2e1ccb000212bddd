"""Trainer processes of a standalone cluster: started, watched, started again, ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from graphbed.errors import GraphbedError
from graphbed.logs import get_logger

log = get_logger()

MAX_RESTARTS = 20
"""Of all trainers together; a trainer that keeps dying is a fault to be shown, not hidden."""


class TrainersFailed(GraphbedError):
    """The trainers keep failing: {what}. The log {log} says more."""


class TrainerProcesses:
    """N processes of `python -m services.trainer`; each one that dies is replaced."""

    def __init__(self, count: int, *, environment: Mapping[str, str], log_file: Path) -> None:
        self._count = count
        # One thread for each BLAS call, before any library reads it: the Hogwild threads are the parallelism.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._environment = {**os.environ, **single, **environment, "GRAPHBED_PARENT_PID": str(os.getpid())}
        self._log_path = log_file
        self._log: IO[bytes] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        self._restarts = 0

    @property
    def pids(self) -> list[int]:
        """Process ids of the living trainers."""
        return [process.pid for process in self._processes if process.poll() is None]

    def start(self) -> None:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log = self._log_path.open("ab")
        self._processes = [self._spawn() for _ in range(self._count)]

    def tend(self) -> None:
        """Replace trainers that died. Raises TrainersFailed when one gave up by itself or too many died."""
        for place, process in enumerate(self._processes):
            code = process.poll()
            if code is None:
                continue
            if code > 0:
                raise TrainersFailed(what=self._last_line(), log=self._log_path)
            if self._restarts >= MAX_RESTARTS:
                raise TrainersFailed(what=f"{MAX_RESTARTS} were replaced already", log=self._log_path)
            self._restarts += 1
            log.warning("trainer replaced", pid=process.pid, signal=-code)
            self._processes[place] = self._spawn()

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM to all, which hands their leases back; SIGKILL to those that need longer."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        for process in self._processes:
            try:
                process.wait(timeout=max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal reaches the parent alone, which then ends the trainers in order.
        return subprocess.Popen(
            [sys.executable, "-m", "services.trainer"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _last_line(self) -> str:
        lines = self._log_path.read_text(errors="replace").strip().splitlines()
        return lines[-1][-500:] if lines else "no output"
