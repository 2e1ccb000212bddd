"""States in files of one directory: one JSON file for each job, replaced atomically."""

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

from graphbed.errors import JobUnknown, StateCorrupt, StoreDenied, StoreFull, StoreUnavailable
from graphbed.graph.names import check_name
from services.lockserver.changes import Change

_SUFFIX = ".json"
_BEGINNING = re.compile(r'{"tag": ("[^"\\]*"),')
_BEGINNING_CHARACTERS = 200
"""The tag stands first, so that asking for it need not read a large state."""


class FileStateStore:
    """A state store for one machine. Processes exclude one another by a lock on a file, which dies with its holder."""

    def __init__(self, directory: Path) -> None:
        """Makes `directory` if it is missing. Raises StoreUnavailable, StoreDenied or StoreFull."""
        self._directory = directory
        with self._failures():
            directory.mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        return str(self._directory)

    def identity(self) -> str:
        # What was written is on the disk: a directory does not forget when a process ends.
        return "file"

    def jobs(self) -> list[str]:
        with self._failures():
            names = [path.name for path in self._directory.iterdir()]
        return sorted(
            name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX) and not name.startswith(".")
        )

    def tag(self, job: str) -> str:
        with self._failures():
            try:
                with self._path(job).open(encoding="utf-8") as file:
                    beginning = _BEGINNING.match(file.read(_BEGINNING_CHARACTERS))
            except FileNotFoundError:
                raise JobUnknown(job=job) from None
        return str(json.loads(beginning[1])) if beginning else self.read(job)[0]

    def read(self, job: str) -> tuple[str, dict[str, str]]:
        found = self._load(job)
        if found is None:
            raise JobUnknown(job=job)
        return found

    def changes(self, job: str, tag: str) -> Change | None:  # noqa: ARG002
        # One machine has one lock server, which knows what it wrote.
        return None

    def create(self, job: str, tag: str, fields: Mapping[str, str]) -> bool:
        with self._failures(), self._locked():
            found = self._load(job)
            if found is not None:
                return found[0] == tag
            self._save(job, tag, fields)
            return True

    def apply(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        with self._failures(), self._locked():
            found = self._load(job)
            if found is None:
                return False
            tag, fields = found
            if tag != expected_tag:
                return tag == new_tag
            kept = {name: value for name, value in fields.items() if name not in removed}
            self._save(job, new_tag, {**kept, **written})
            return True

    def remove(self, job: str, expected_tag: str) -> bool:
        with self._failures(), self._locked():
            found = self._load(job)
            if found is not None and found[0] != expected_tag:
                return False
            self._path(job).unlink(missing_ok=True)
            self._sync()
            return True

    def _path(self, job: str) -> Path:
        return self._directory / f"{check_name(job)}{_SUFFIX}"

    def _load(self, job: str) -> tuple[str, dict[str, str]] | None:
        with self._failures():
            try:
                text = self._path(job).read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
        try:
            document = json.loads(text)
            return document["tag"], document["fields"]
        except (ValueError, KeyError, TypeError) as error:
            raise StateCorrupt(job=job, address=self._path(job), what=error) from error

    def _save(self, job: str, tag: str, fields: Mapping[str, str]) -> None:
        path = self._path(job)
        # The lock is held, so nobody else writes this name; a leftover of a killed process is overwritten.
        unfinished = path.with_name(f".{path.name}.unfinished")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump({"tag": tag, "fields": dict(fields)}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        self._sync()

    def _sync(self) -> None:
        """Make durable which names there are."""
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # flock belongs to the open file, so a fresh one excludes threads of this process as well.
        with (self._directory / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull(store=self.address) from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise StoreDenied(address=self.address) from error
            raise StoreUnavailable(address=self.address, what=error.strerror) from error
