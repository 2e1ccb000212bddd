"""A directory as object store: atomic, durable, and safe for many threads and processes on one machine."""

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from graphbed.errors import (
    InputError,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreFull,
    StoreUnavailable,
)
from graphbed.storage.keys import check_key, check_prefix
from graphbed.storage.objects import StoredObject

_SCRATCH = ".graphbed-unfinished"
_LEFTOVER_SECONDS = 3600.0
"""A writer touches its file all the time; one that has been still for this long belongs to a process that died."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


class DirectoryStore:
    """Objects as files below a directory, which is made when the first object is written."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises InputError if `path` is something other than a directory."""
        self._root = Path(path).absolute()
        self._scratch = self._root / _SCRATCH
        if self._root.exists() and not self._root.is_dir():
            raise InputError(what=f"The store {self._root} is not a directory.")
        self.abort_unfinished(older_than_seconds=_LEFTOVER_SECONDS)

    @property
    def address(self) -> str:
        return str(self._root)

    def create(self, key: str, data: bytes) -> StoredObject:
        return self._write(key, [data], publish=_publish_once)

    def put(self, key: str, data: bytes | memoryview) -> StoredObject:
        return self._write(key, [data], publish=_publish)

    def put_stream(self, key: str, chunks: Iterable[bytes], *, size: int, sha256: str) -> StoredObject:
        return self._write(key, chunks, publish=_publish, expected=StoredObject(key=key, size=size, sha256=sha256))

    def get(self, key: str) -> bytes:
        path = self._path(key)
        with self._errors(key):
            return path.read_bytes()

    def stream(self, key: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        path = self._path(key)
        with self._errors(key), path.open("rb") as file:
            while chunk := file.read(chunk_bytes):
                yield chunk

    def exists(self, key: str) -> bool:
        path = self._path(key)
        with self._errors(key):
            return path.is_file()

    def size(self, key: str) -> int:
        path = self._path(key)
        with self._errors(key):
            if path.is_dir():
                raise IsADirectoryError
            return path.stat().st_size

    def list(self, prefix: str) -> list[str]:
        folder = self._root / check_prefix(prefix).rpartition("/")[0]
        keys: list[str] = []
        with self._errors(prefix):
            for base, folders, names in os.walk(folder, onerror=_raise_unless_missing):
                folders[:] = [name for name in folders if not name.startswith(".")]
                parent = Path(base).relative_to(self._root)
                keys.extend((parent / name).as_posix() for name in names if not name.startswith("."))
        return sorted(key for key in keys if key.startswith(prefix))

    def sizes(self, prefix: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for key in self.list(prefix):
            # It may have been deleted since it was listed.
            with suppress(ObjectMissing), self._errors(key):
                found[key] = self._path(key).stat().st_size
        return found

    def delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(ObjectMissing), self._errors(key):
            path.unlink()

    def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.delete(key)

    def abort_unfinished(self, *, older_than_seconds: float, prefix: str = "") -> int:
        """As ObjectStore.abort_unfinished; a file counts from the last byte that was written to it."""
        aborted = 0
        if prefix:
            return aborted  # unfinished files have names of their own
        with suppress(OSError):
            for path in list(self._scratch.iterdir()):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > older_than_seconds:
                        path.unlink()
                        aborted += 1
        return aborted

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _write(
        self,
        key: str,
        chunks: Iterable[bytes | memoryview],
        *,
        publish: Callable[[Path, Path], None],
        expected: StoredObject | None = None,
    ) -> StoredObject:
        """Write a hidden file, make it durable, then give it its name in one step; whatever fails, nothing stays."""
        path = self._path(key)
        unfinished = self._scratch / secrets.token_hex(16)
        try:
            with self._errors(key, writing=True):
                _make_folder(self._scratch)
                written = _write_file(key, unfinished, chunks, limit=expected.size if expected else None)
                if expected is not None and written != expected:
                    raise ObjectCorrupt(key=key, store=self.address)
                _make_folder(path.parent)
                publish(unfinished, path)
                _sync_folder(path.parent)
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
        return written

    @contextmanager
    def _errors(self, key: str, *, writing: bool = False) -> Iterator[None]:
        """The operating system's errors in the words of the catalogue."""
        try:
            yield
        except FileExistsError:
            raise ObjectExists(key=key) from None
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
            if missing and not writing:
                raise ObjectMissing(key=key, store=self.address) from None
            if error.errno in _FULL:
                raise StoreFull(store=self.address) from error
            if error.errno in _DENIED:
                raise StoreDenied(address=self.address, what=error.strerror) from error
            raise StoreUnavailable(address=self.address, what=error.strerror) from error


def _write_file(key: str, path: Path, chunks: Iterable[bytes | memoryview], *, limit: int | None) -> StoredObject:
    """Write the chunks to a new file and make it durable; stops soon after `limit` bytes."""
    digest = hashlib.sha256()
    size = 0
    with path.open("xb", buffering=0) as file:
        for chunk in chunks:
            size += len(chunk)
            if limit is not None and size > limit:
                break
            digest.update(chunk)
            left = memoryview(chunk)
            while left:  # a raw file may take a part only
                left = left[file.write(left) :]
        os.fsync(file.fileno())
    return StoredObject(key=key, size=size, sha256=digest.hexdigest())


def _publish(unfinished: Path, path: Path) -> None:
    unfinished.replace(path)


def _publish_once(unfinished: Path, path: Path) -> None:
    # A hard link is made or refused in one step, unlike rename, which replaces.
    os.link(unfinished, path)


def _make_folder(folder: Path) -> None:
    """Make the folder and those above it, durably."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """A name is durable when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
