"""States in Redis or Valkey: one hash for each job, changed by one script that compares its tag."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, unquote

import redis
from redis import exceptions
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from graphbed.errors import InputError, JobUnknown, StateMoved, StoreDenied, StoreFull, StoreUnavailable
from services.lockserver.changes import REMEMBERED, Change, since

SOCKET_SECONDS = 2.0
"""How long to wait for a connection or an answer; with the retry a call ends inside a trainer's deadline."""
RETRIES = 1
TOLD_BYTES = 64 << 10
"""A larger change is in the stream by its tags alone: whoever missed it reads the whole state."""

_JOBS = "graphbed:jobs"
_TAG = "tag"
_FIELD = "field:"

# KEYS: hash, stream. ARGV: expected tag, new tag, the change as the stream tells it, number of writes, then name and
# value of each, then names to remove.
# An expected tag of "" creates. Answers 1 if the job now stands under the new tag, however often this was sent.
_CHANGE = f"""
local found = redis.call('HGET', KEYS[1], '{_TAG}') or ''
if found == ARGV[2] then return 1 end
if found ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], '{_TAG}', ARGV[2])
local last = 4 + 2 * tonumber(ARGV[4])
for i = 5, last, 2 do redis.call('HSET', KEYS[1], '{_FIELD}' .. ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('HDEL', KEYS[1], '{_FIELD}' .. ARGV[i]) end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', {REMEMBERED}, '*', 'from', ARGV[1], 'to', ARGV[2], 'change', ARGV[3])
return 1
"""

# KEYS: hash, stream. ARGV: expected tag. Answers 1 if the job is not there any more.
_REMOVE = f"""
local found = redis.call('HGET', KEYS[1], '{_TAG}')
if found and found ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
"""


class _Moved(exceptions.RedisError):  # type: ignore[misc]
    """A new connection leads to another life of the server than the calls before."""


class RedisStateStore:
    """A state store for a cluster. Uses no command newer than Redis 7.0.

    A server that was restarted, or that a failover put in the place of another, may have forgotten the newest changes.
    It can be reached by a new connection only, so each one asks who answers before its first command.
    """

    def __init__(self, url: SplitResult, *, password: str | None) -> None:
        """Connects at the first call. `url` is redis:// or rediss://[user@]host[:port][/db]. Raises InputError."""
        self._address, settings = _connection(url)
        self._client = redis.Redis(
            **settings,
            password=password,
            decode_responses=True,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            # Sending the script again is safe: it knows its own tag.
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), RETRIES),
            redis_connect_func=self._greet,
        )
        self._identity: str | None = None
        self._change: Callable[..., Any] = self._client.register_script(_CHANGE)
        self._remove: Callable[..., Any] = self._client.register_script(_REMOVE)

    @property
    def address(self) -> str:
        return self._address

    def ping(self) -> None:
        """Raise StoreUnavailable or StoreDenied unless the server answers."""
        with self._failures():
            self._client.ping()

    def identity(self) -> str:
        """Process and replication id of the server: one changes at a restart, the other at a failover."""
        with self._failures():
            try:
                found = self._ask()
            except _Moved:
                found = ""
            if found != self._identity:
                # Connections that are open by now may lead elsewhere.
                self._client.connection_pool.disconnect(inuse_connections=False)
                self._identity = None
                found = self._identity = self._ask()
        return found

    def jobs(self) -> list[str]:
        with self._failures():
            names: set[str] = self._client.smembers(_JOBS)
        return sorted(names)

    def tag(self, job: str) -> str:
        with self._failures():
            tag: str | None = self._client.hget(_hash(job), _TAG)
        if tag is None:
            raise JobUnknown(job=job)
        return tag

    def read(self, job: str) -> tuple[str, dict[str, str]]:
        with self._failures():
            found: dict[str, str] = self._client.hgetall(_hash(job))
        if _TAG not in found:
            raise JobUnknown(job=job)
        fields = {name.removeprefix(_FIELD): value for name, value in found.items() if name != _TAG}
        return found[_TAG], fields

    def changes(self, job: str, tag: str) -> Change | None:
        with self._failures():
            return since(_told(self._newest_first(job)), tag)

    def create(self, job: str, tag: str, fields: Mapping[str, str]) -> bool:
        with self._failures():
            # First the name: a name without a state is unknown and may be created again, a state without one is lost.
            self._client.sadd(_JOBS, job)
        return self._run(job, "", tag, fields, frozenset())

    def apply(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        return bool(expected_tag) and self._run(job, expected_tag, new_tag, written, removed)

    def remove(self, job: str, expected_tag: str) -> bool:
        with self._failures():
            if self._client.hget(_hash(job), _TAG) not in (None, expected_tag):
                return False
            # First the name: while the state is there nobody creates another, whose name this would take.
            self._client.srem(_JOBS, job)
            removed = bool(self._remove(keys=[_hash(job), _stream(job)], args=[expected_tag]))
            if not removed:
                self._client.sadd(_JOBS, job)
        return removed

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _newest_first(self, job: str) -> Iterator[Mapping[str, str]]:
        """The entries of the job's stream; most servers have missed a few, so the first pages are short."""
        below, count = "+", 8
        while count <= REMEMBERED:
            entries: list[tuple[str, dict[str, str]]] = self._client.xrevrange(_stream(job), max=below, count=count)
            yield from (entry for _, entry in entries)
            if len(entries) < count:
                return
            below, count = f"({entries[-1][0]}", 4 * count

    def _ask(self) -> str:
        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            return _identity(connection)
        finally:
            pool.release(connection)

    def _greet(self, connection: Any) -> None:
        """Called for each new connection. Raises _Moved."""
        connection.on_connect()
        if self._identity is not None and _identity(connection) != self._identity:
            raise _Moved("another server answers")

    def _run(
        self, job: str, expected_tag: str, new_tag: str, written: Mapping[str, str], removed: AbstractSet[str]
    ) -> bool:
        pairs = [text for pair in written.items() for text in pair]
        told = json.dumps({"written": dict(written), "removed": sorted(removed)}) if expected_tag else ""
        arguments = [
            expected_tag,
            new_tag,
            told if len(told) <= TOLD_BYTES else "",
            len(written),
            *pairs,
            *sorted(removed),
        ]
        with self._failures():
            return bool(self._change(keys=[_hash(job), _stream(job)], args=arguments))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError) as error:
            raise StoreDenied(address=self._address) from error
        except _Moved as error:
            raise StateMoved(address=self._address) from error
        except exceptions.OutOfMemoryError as error:
            raise StoreFull(store=self._address) from error
        except exceptions.RedisError as error:
            raise StoreUnavailable(address=self._address, what=_one_line(error)) from error


def _identity(connection: Any) -> str:
    told = []
    for section, name in (("server", "run_id"), ("replication", "master_replid")):
        connection.send_command("INFO", section)
        lines = str(connection.read_response()).splitlines()
        told += [line.removeprefix(f"{name}:") for line in lines if line.startswith(f"{name}:")]
    return "/".join(told)


def _told(entries: Iterable[Mapping[str, str]]) -> Iterator[Change]:
    """The changes of a stream, up to the first that is there by its tags alone."""
    for entry in entries:
        if not entry.get("change"):
            return
        change = json.loads(entry["change"])
        yield Change(
            before=entry["from"], after=entry["to"], written=change["written"], removed=frozenset(change["removed"])
        )


def _hash(job: str) -> str:
    return f"graphbed:{{{job}}}:state"


def _stream(job: str) -> str:
    return f"graphbed:{{{job}}}:changes"


def _connection(url: SplitResult) -> tuple[str, dict[str, Any]]:
    """The address for people and the settings of the client. Errors never show the user part of the URL."""
    try:
        host, port, database = url.hostname, url.port or 6379, int(url.path.strip("/") or 0)
    except ValueError:
        host, port, database = None, 0, 0
    if host is None or url.scheme not in ("redis", "rediss"):
        raise InputError(what="the state's address must be redis://host:port/number or rediss://host:port/number")
    if url.password is not None:
        raise InputError(what="put the password into GRAPHBED_REDIS_PASSWORD or its file, not into the state's address")
    settings: dict[str, Any] = {"host": host, "port": port, "db": database, "ssl": url.scheme == "rediss"}
    if url.username:
        settings["username"] = unquote(url.username)
    return f"{url.scheme}://{host}:{port}/{database}", settings


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
