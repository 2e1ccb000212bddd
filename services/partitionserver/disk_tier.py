"""The second tier of the cache: versions in a folder, believed only if their checksum is right."""

import hashlib
import secrets
import threading
from contextlib import suppress
from pathlib import Path

from graphbed.errors import InputError
from graphbed.logs import get_logger
from graphbed.storage.objects import sha256_hex
from services.partitionserver.lru import LeastRecentlyUsed

log = get_logger("graphbed.partitionserver")

_FOLDER = "graphbed-versions"


class DiskTier:
    """At most `max_bytes` in a folder of its own below `path`. Safe for threads; a full or broken disk costs hits only.

    Nothing is made durable: the folder is emptied at start.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Raises InputError if the folder cannot be used."""
        self._folder = path / _FOLDER
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for leftover in self._folder.iterdir():
                leftover.unlink()
        except OSError as error:
            raise InputError(what=f"the cache folder {self._folder} cannot be used: {error.strerror}") from error
        self._kept: LeastRecentlyUsed[str] = LeastRecentlyUsed(max_bytes)  # object key → checksum
        self._lock = threading.Lock()
        # One writer at a time: the bytes in the folder never exceed the bound.
        self._writing = threading.Lock()

    @property
    def bytes(self) -> int:
        return self._kept.bytes

    def accepts(self, size: int) -> bool:
        """Whether a version of `size` bytes could be kept."""
        return self._kept.accepts(size)

    def get(self, key: str, sha256: str) -> memoryview | None:
        """The version `key`, if its bytes have the checksum `sha256`."""
        with self._lock:
            if self._kept.get(key) != sha256:
                return None
        try:
            data = self._path(key).read_bytes()
        except OSError as error:
            log.warning("a cached version cannot be read", key=key, detail=error.strerror)
        else:
            if sha256_hex(data) == sha256:
                return memoryview(data)
            log.warning("a cached version is corrupt", key=key)
        with self._lock:
            self._kept.discard(key)
        return None

    def put(self, key: str, sha256: str, data: memoryview) -> None:
        """Keep a version, unless it is too large or the disk refuses it."""
        with self._writing:
            with self._lock:
                if not self._kept.accepts(len(data)) or self._kept.get(key) == sha256:
                    return
                self._kept.discard(key)
                gone = self._kept.make_room(len(data))
            try:
                for evicted in gone:
                    self._path(evicted).unlink(missing_ok=True)
                self._write(key, data)
            except OSError as error:
                log.warning("a version cannot be cached on disk", key=key, detail=error.strerror)
                return
            with self._lock:
                self._kept.put(key, sha256, len(data))

    def _write(self, key: str, data: memoryview) -> None:
        unfinished = self._folder / f"{secrets.token_hex(16)}.unfinished"
        try:
            unfinished.write_bytes(data)
            unfinished.replace(self._path(key))
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
