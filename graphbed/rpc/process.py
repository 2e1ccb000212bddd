"""The life of a server process: start, serve, stop gracefully on SIGTERM."""

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Protocol

from graphbed import history, logs
from graphbed.errors import GraphbedError
from graphbed.rpc import environment
from graphbed.whole_file import whole_file

_LOOK_SECONDS = 0.2
"""Python handles signals on the main thread, and one that the kernel gave to another thread does not wake it."""

log = logs.get_logger("graphbed.rpc")


class Stoppable(Protocol):
    """What `run_process` needs of a server."""

    @property
    def address(self) -> str: ...

    @property
    def metrics_address(self) -> str | None: ...

    def stop(self, grace_seconds: float) -> None: ...


def run_process(start: Callable[[], Stoppable], *, environ: Mapping[str, str], service: str = "graphbed") -> int:
    """Run what `start` starts until SIGTERM or SIGINT; return the exit code.

    0 after a graceful stop within GRAPHBED_GRACE_SECONDS (default 20); 2 with one line on stderr if `start` raises a
    GraphbedError. A second signal ends the process at once, with code 1. Writes the bound addresses to
    GRAPHBED_ADDRESS_FILE, and its history into the folder GRAPHBED_HISTORY, if those are set. Must be called on the
    main thread.
    """
    stopping = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        logs.configure(
            level=environment.read(environ, "GRAPHBED_LOG_LEVEL", "info"),
            format=environment.read(environ, "GRAPHBED_LOG_FORMAT", "text" if sys.stderr.isatty() else "json"),
            service=service,
        )
        history.configure(environment.optional(environ, "GRAPHBED_HISTORY"), service)
        grace_seconds = environment.read_seconds(environ, "GRAPHBED_GRACE_SECONDS", 20.0)
        address_file = environment.optional(environ, "GRAPHBED_ADDRESS_FILE")
        server = start()
    except GraphbedError as error:
        sys.stderr.write(f"{service}: {' '.join(str(error).split())}\n")
        return 2
    if address_file is not None:
        write_addresses(Path(address_file), server)
    log.info("serving", address=server.address, metrics=server.metrics_address)
    while not stopping.wait(_LOOK_SECONDS):
        pass  # a signal that met another thread has its handler run now
    log.info("stopping", grace_seconds=grace_seconds)
    server.stop(grace_seconds)
    log.info("stopped")
    return 0


def write_addresses(path: Path, server: Stoppable) -> None:
    """Write the gRPC address and, on the second line, the metrics address (or nothing); atomic."""
    with whole_file(path) as unfinished:
        unfinished.write_text(f"{server.address}\n{server.metrics_address or ''}\n", encoding="utf-8")
