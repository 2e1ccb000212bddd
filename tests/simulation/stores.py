"""Stores of the simulated world: real contents, calls that fail before or after, and servers that die at them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

from graphbed.errors import GraphbedError, ObjectExists, ObjectMissing, StateMoved, StoreUnavailable
from graphbed.storage.objects import StoredObject, sha256_hex
from services.lockserver.changes import Change
from services.lockserver.state_store import MemoryStateStore
from tests.simulation.world import Crashed, World

A = TypeVar("A")

NEW = 40
"""A fault that has not yet met the request in this history comes so many times as often: some requests are seldom."""

MAX_OVERTAKING = 2
"""How many calls may be overtaken at once, one inside the other."""

MANY_EVENTS = 60
"""Events that may come before a write of the object store: as many as a process misses that is stopped for seconds."""

FORGOTTEN_CHANGES = 12
"""Changes that a state store may forget at a restart."""


class Objects:
    """The object store itself: never fails, never forgets."""

    address = "simulated objects"

    def __init__(self) -> None:
        self.created: Callable[[str], None] = lambda _: None
        """Told every key that was created, and `deleted` every key just before it goes."""
        self.deleted: Callable[[str], None] = lambda _: None
        self.data: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}
        """The same as it was written, whatever became of it since; what was deleted is gone here, too."""

    def create(self, key: str, data: bytes) -> StoredObject:
        if key in self.data:
            raise ObjectExists(key=key)
        stored = self.put(key, data)
        self.created(key)
        return stored

    def put(self, key: str, data: bytes | memoryview) -> StoredObject:
        self.data[key] = self.stored[key] = bytes(data)
        return StoredObject(key=key, size=len(data), sha256=sha256_hex(data))

    def put_stream(self, key: str, chunks: Iterable[bytes], *, size: int, sha256: str) -> StoredObject:
        stored = self.put(key, b"".join(chunks))
        assert (stored.size, stored.sha256) == (size, sha256)
        return stored

    def get(self, key: str) -> bytes:
        if key not in self.data:
            raise ObjectMissing(key=key, store=self.address)
        return self.data[key]

    def stream(self, key: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        data = self.get(key)
        return (data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes))

    def exists(self, key: str) -> bool:
        return key in self.data

    def size(self, key: str) -> int:
        return len(self.get(key))

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self.data if key.startswith(prefix))

    def sizes(self, prefix: str) -> dict[str, int]:
        return {key: len(self.data[key]) for key in self.list(prefix)}

    def delete(self, key: str) -> None:
        if key in self.data:
            self.deleted(key)
            del self.data[key]
            self.stored.pop(key, None)

    def delete_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.delete(key)

    def abort_unfinished(self, *, older_than_seconds: float, prefix: str = "") -> int:
        return 0

    def was_stored(self, key: str) -> bool:
        """Whether an object was written and not deleted."""
        return key in self.stored

    def is_intact(self, key: str) -> bool:
        """Whether an object is there as it was stored."""
        return key in self.data and self.data[key] == self.stored[key]

    def damage(self, key: str, left: bytes | None) -> None:
        """Let an object rot to what is `left` of it; None: nothing."""
        if left is None:
            del self.data[key]
        else:
            self.data[key] = left


class FailingCalls:
    """Calls of a server as one process makes them."""

    def __init__(
        self,
        world: World,
        address: str,
        *,
        deadly: bool,
        depth: list[int] | None = None,
        refusal: Callable[[], GraphbedError] | None = None,
    ) -> None:
        """`depth` counts, for all of the world, how many calls are being overtaken; None: these never are. `refusal`
        makes the error of a call that fails."""
        self._world = world
        self.address = address
        self._deadly = deadly
        self._depth = depth
        self._refusal = refusal or (lambda: StoreUnavailable(address=address))

    def _let_others_go_first(self, events: int = 1) -> None:
        """Sometimes, let other events happen before a call: whoever makes it was stopped for a moment."""
        if self._depth is not None and self._depth[0] < MAX_OVERTAKING and self._world.chance("overtaken"):
            self._depth[0] += 1
            try:
                for _ in range(self._world.random.randint(1, events)):
                    self._world.step()
            finally:
                self._depth[0] -= 1

    def _call(self, name: str, work: Callable[[], A], *, changes: bool) -> A:
        kind = name if changes else "read"
        if self._happens(f"{kind}: fails before", self._world.faults.refused):
            raise self._refusal()
        if self._deadly and self._happens(f"{kind}: crash before", self._world.faults.crash):
            raise Crashed
        result = work()
        if changes and self._happens(f"{kind}: fails after", self._world.faults.unanswered):
            raise self._refusal()
        if self._deadly and changes and self._happens(f"{kind}: crash after", self._world.faults.crash):
            raise Crashed
        return result

    def _happens(self, fault: str, rate: float) -> bool:
        is_new = self._world.serving and not self._world.cells[self._world.serving[-1], fault]
        happens = self._world.random.random() < rate * (NEW if is_new else 1)
        if happens:
            self._world.note(fault)
        return happens


class FailingObjects(FailingCalls):
    """The object store as one process reaches it."""

    def __init__(self, world: World, objects: Objects, *, deadly: bool, depth: list[int] | None = None) -> None:
        """`deadly`: the process may crash at a call."""
        super().__init__(world, objects.address, deadly=deadly, depth=depth)
        self._objects = objects

    def _call(self, name: str, work: Callable[[], A], *, changes: bool) -> A:
        if self._world.store_is_away:
            # Some calls are refused at once, others hang first.
            self._let_others_go_first(MANY_EVENTS)
            self._world.note("store away")
            raise self._refusal()
        return super()._call(name, work, changes=changes)

    def create(self, key: str, data: bytes) -> StoredObject:
        self._let_others_go_first(MANY_EVENTS)
        return self._call("create", lambda: self._objects.create(key, data), changes=True)

    def put(self, key: str, data: bytes | memoryview) -> StoredObject:
        return self._call("put", lambda: self._objects.put(key, data), changes=True)

    def put_stream(self, key: str, chunks: Iterable[bytes], *, size: int, sha256: str) -> StoredObject:
        return self._call("put", lambda: self._objects.put_stream(key, chunks, size=size, sha256=sha256), changes=True)

    def get(self, key: str) -> bytes:
        return self._call("get", lambda: self._objects.get(key), changes=False)

    def stream(self, key: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        return self._call("get", lambda: self._objects.stream(key, chunk_bytes=chunk_bytes), changes=False)

    def exists(self, key: str) -> bool:
        return self._call("exists", lambda: self._objects.exists(key), changes=False)

    def size(self, key: str) -> int:
        return self._call("size", lambda: self._objects.size(key), changes=False)

    def list(self, prefix: str) -> list[str]:
        return self._call("list", lambda: self._objects.list(prefix), changes=False)

    def sizes(self, prefix: str) -> dict[str, int]:
        return self._call("sizes", lambda: self._objects.sizes(prefix), changes=False)

    def delete(self, key: str) -> None:
        self._let_others_go_first(MANY_EVENTS)
        self._call("delete", lambda: self._objects.delete(key), changes=True)

    def delete_many(self, keys: Sequence[str]) -> None:
        """One by one: a process may die between two of them."""
        for key in keys:
            self.delete(key)

    def abort_unfinished(self, *, older_than_seconds: float, prefix: str = "") -> int:
        return 0


class States(MemoryStateStore):
    """The state store itself; tells every state that a job takes to `observe(job, fields)`, and a loss as None."""

    def __init__(
        self,
        observe: Callable[[str, dict[str, str] | None], None],
        restarted: Callable[[str, dict[str, str]], None],
        removed: Callable[[str], None],
    ) -> None:
        """`restarted(job, fields)` is told what a job's state is after a restart, `removed` that it goes for good."""
        super().__init__()
        self._observe = observe
        self._restarted = restarted
        self._removed = removed
        self._life = 1
        self._past: deque[dict[str, tuple[str, dict[str, str]]]] = deque(maxlen=FORGOTTEN_CHANGES)

    def identity(self) -> str:
        return f"life {self._life}"

    def create(self, job: str, tag: str, fields: Mapping[str, str]) -> bool:
        before = self._jobs.get(job)
        self._past.append(dict(self._jobs))
        created = super().create(job, tag, fields)
        if self._jobs[job] is not before:
            self._observe(job, self._jobs[job][1])
        return created

    def apply(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        before = self._jobs.get(job)
        self._past.append(dict(self._jobs))
        applied = super().apply(job, expected_tag, new_tag, written, removed)
        if self._jobs.get(job) is not before:
            self._observe(job, self._jobs[job][1])
        return applied

    def remove(self, job: str, expected_tag: str) -> bool:
        self._past.append(dict(self._jobs))
        is_there = job in self._jobs
        removed = super().remove(job, expected_tag)
        if is_there and job not in self._jobs:
            self._removed(job)
        return removed

    def restart(self, *, forgotten: int) -> None:
        """Begin a new life with what was there so many changes ago; 0: with everything."""
        self._life += 1
        before = self._jobs
        if forgotten and len(self._past) >= forgotten:
            self._jobs = dict(self._past[-forgotten])
        self._past.clear()
        for job in before.keys() - self._jobs.keys():
            self._observe(job, None)
        for job, (_, fields) in self._jobs.items():
            self._restarted(job, fields)

    def forget(self) -> None:
        """Lose everything, as FLUSHALL does."""
        for job in list(self._jobs):
            del self._jobs[job]
            self._observe(job, None)


class FailingStates(FailingCalls):
    """The state store as one lock server reaches it; others may be faster between two of its calls."""

    def __init__(self, world: World, states: States, *, depth: list[int], strict: bool) -> None:
        """`strict`: another life is noticed by every call, as with Redis; else by `identity` alone."""
        super().__init__(world, states.address, deadly=True, depth=depth)
        self._states = states
        self._strict = strict
        self._known: str | None = None

    def _call(self, name: str, work: Callable[[], A], *, changes: bool) -> A:
        def same_life() -> A:
            if self._strict and self._known not in (None, self._states.identity()):
                raise StateMoved(address=self.address)
            return work()

        return super()._call(name, same_life, changes=changes)

    def identity(self) -> str:
        self._known = None
        self._known = self._call("identity", self._states.identity, changes=False)
        return self._known

    def jobs(self) -> list[str]:
        return self._call("jobs", self._states.jobs, changes=False)

    def tag(self, job: str) -> str:
        return self._call("tag", lambda: self._states.tag(job), changes=False)

    def read(self, job: str) -> tuple[str, dict[str, str]]:
        return self._call("read", lambda: self._states.read(job), changes=False)

    def changes(self, job: str, tag: str) -> Change | None:
        return self._call("changes", lambda: self._states.changes(job, tag), changes=False)

    def create(self, job: str, tag: str, fields: Mapping[str, str]) -> bool:
        self._let_others_go_first()
        return self._call("begin", lambda: self._states.create(job, tag, fields), changes=True)

    def apply(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        self._let_others_go_first()
        return self._call(
            "apply", lambda: self._states.apply(job, expected_tag, new_tag, written, removed), changes=True
        )

    def remove(self, job: str, expected_tag: str) -> bool:
        self._let_others_go_first()
        return self._call("remove", lambda: self._states.remove(job, expected_tag), changes=True)
