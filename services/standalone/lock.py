"""One standalone cluster for each store: a lock on the folder of its state."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from graphbed.errors import InputError


class FolderLock:
    """Held while a standalone cluster runs; the system lets go of it however the process ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "standalone.lock"
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Raise InputError if another process holds it, or if the folder cannot be written."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InputError(what=f"{self._path.parent} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise InputError(
                what=f"another `graphbed train` works on {self._path.parent}; wait for it or stop it"
            ) from error
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
