"""State stores: where the states of the jobs lie, changed by compare-and-set on a random tag."""

import threading
from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

from graphbed.errors import JobUnknown
from services.lockserver.changes import REMEMBERED, Change, since


class StateStore(Protocol):
    """Jobs by name, each a set of text fields under one tag. Safe for concurrent threads and processes.

    A tag is random and new for each change, so that an equal tag means an equal state, whatever happened in between.
    Every method raises StoreUnavailable or StoreDenied with the store's address when the store itself fails. All but
    `identity` may raise StateMoved, and have done nothing then, when the store is not the one `identity` told last.
    """

    @property
    def address(self) -> str:
        """For people: where the store is, without secrets."""
        ...

    def identity(self) -> str:
        """Which life of the store this is: another one may have forgotten what was answered before."""
        ...

    def jobs(self) -> list[str]:
        """The names of all jobs, sorted."""
        ...

    def tag(self, job: str) -> str:
        """The tag that the job has now. Raises JobUnknown."""
        ...

    def read(self, job: str) -> tuple[str, dict[str, str]]:
        """The tag and all fields of one moment. Raises JobUnknown."""
        ...

    def changes(self, job: str, tag: str) -> Change | None:
        """What happened since the job stood under `tag`, as of one moment; None if that is not remembered."""
        ...

    def create(self, job: str, tag: str, fields: Mapping[str, str]) -> bool:
        """Add a job; False, and nothing changed, if it exists."""
        ...

    def apply(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        """Write and remove fields in one step; False, and nothing changed, if the tag is not the expected one.

        A change whose answer was lost may be sent again with the same tags: it happens once and is answered True,
        unless somebody changed the job after it.
        """
        ...

    def remove(self, job: str, expected_tag: str) -> bool:
        """Forget the job; False, and nothing changed, if the tag is not the expected one. True if it is not there."""
        ...


class MemoryStateStore:
    """A state store in this process, gone with it: for tests and for trying things."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[str, dict[str, str]]] = {}
        self._changes: dict[str, deque[Change]] = {}
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return "memory"

    def identity(self) -> str:
        return "memory"

    def jobs(self) -> list[str]:
        with self._lock:
            return sorted(self._jobs)

    def tag(self, job: str) -> str:
        return self.read(job)[0]

    def read(self, job: str) -> tuple[str, dict[str, str]]:
        with self._lock:
            if job not in self._jobs:
                raise JobUnknown(job=job)
            tag, fields = self._jobs[job]
            return tag, dict(fields)

    def changes(self, job: str, tag: str) -> Change | None:
        with self._lock:
            found = since(reversed(self._changes.get(job, ())), tag)
            # Whoever puts an old state back, as tests do, does not put its changes back.
            return found if found is not None and found.after == self._jobs.get(job, ("",))[0] else None

    def create(self, job: str, tag: str, fields: Mapping[str, str]) -> bool:
        with self._lock:
            if job in self._jobs:
                return self._jobs[job][0] == tag
            self._jobs[job] = (tag, dict(fields))
            self._changes.pop(job, None)
            return True

    def apply(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        with self._lock:
            tag, fields = self._jobs.get(job, ("", {}))
            if tag != expected_tag or job not in self._jobs:
                return bool(tag) and tag == new_tag
            kept = {name: value for name, value in fields.items() if name not in removed}
            self._jobs[job] = (new_tag, {**kept, **written})
            self._changes.setdefault(job, deque(maxlen=REMEMBERED)).append(
                Change(before=tag, after=new_tag, written=dict(written), removed=frozenset(removed))
            )
            return True

    def remove(self, job: str, expected_tag: str) -> bool:
        with self._lock:
            if self._jobs.get(job, (expected_tag,))[0] != expected_tag:
                return False
            self._jobs.pop(job, None)
            self._changes.pop(job, None)
            return True
