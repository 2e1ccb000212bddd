"""History: what each process did, as JSON lines that a checker reads later. Off unless a folder is given."""

import itertools
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphbed import logs
from graphbed.errors import InputError

log = logs.get_logger("graphbed.history")

_file: int | None = None
_numbers = itertools.count(1)


def configure(folder: str | None, service: str) -> None:
    """Append this process's lines to a file of its own in `folder`; None = write nothing. Raises InputError."""
    global _file
    if _file is not None:
        os.close(_file)
        _file = None
    if folder is None:
        return
    path = Path(folder) / f"{service}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise InputError(what=f"the history folder {folder} cannot be used: {error.strerror}") from error


def is_on() -> bool:
    """Whether lines are written: ask before gathering facts that cost something."""
    return _file is not None


def record(event: str, **facts: Any) -> None:
    """Write one line: `event`, `at` (monotonic seconds, common to all processes of a machine), and the facts.

    One write a line: a process that is killed loses none that it wrote before, and tears none.
    """
    if _file is None:
        return
    line = json.dumps({"event": event, "at": round(time.monotonic(), 4), **facts}, separators=(",", ":"))
    try:
        os.write(_file, line.encode() + b"\n")
    except OSError as error:
        # Whoever writes history for a test finds the hole; the service goes on.
        log.warning("history lost", what=event, error=str(error))


@contextmanager
def operation(name: str, **facts: Any) -> Iterator[dict[str, Any]]:
    """Tell of something that takes time: a line `name` when it begins, a line `name ended` when it does.

    The second has the same number `op`, the facts that the caller puts into what it is given, and the kind of the error
    if it ended by one. An operation without a second line was open when its process died.
    """
    told: dict[str, Any] = {}
    number = next(_numbers)
    record(name, op=number, **facts)
    try:
        yield told
    except BaseException as error:
        told["error"] = type(error).__name__
        raise
    finally:
        record(f"{name} ended", op=number, **told)
