"""The state as flat fields of text, so that a state store writes only what changed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from graphbed.errors import StateCorrupt, StateTooNew
from graphbed.graph.partition import Bucket, Partition
from graphbed.storage.manifest import CommitRecord, EpochTotals, SkippedBucket
from graphbed.storage.receipt import Receipt
from services.lockserver.changes import Change
from services.lockserver.records import Beat, Failures, Lease, SealedDelta, TrainerRecord
from services.lockserver.state import FORMAT, Delta, Header, JobState

HEADER = "header"


class _Table(NamedTuple):
    """How one table of the state becomes fields `<name>:<key>`."""

    name: str
    value: TypeAdapter[Any]
    read_key: Callable[[str], Any]


class Fields(NamedTuple):
    """A change for a state store: fields to write and fields to remove."""

    written: dict[str, str]
    removed: set[str]


def _read_partition(text: str) -> Partition:
    entity_type, index = text.rsplit("/", 1)
    return Partition(entity_type, int(index))


def _read_bucket(text: str) -> Bucket:
    lhs, rhs = text.split("/")
    return Bucket(int(lhs), int(rhs))


_HEADER = TypeAdapter(Header)
_TABLES = (
    _Table("pointers", TypeAdapter(Receipt), _read_partition),
    _Table("done", TypeAdapter(int), _read_bucket),
    _Table("leases", TypeAdapter(Lease), str),
    _Table("beats", TypeAdapter(Beat), str),
    _Table("trainers", TypeAdapter(TrainerRecord), str),
    _Table("commits", TypeAdapter(CommitRecord), int),
    _Table("deltas", TypeAdapter(SealedDelta), int),
    _Table("epochs", TypeAdapter(EpochTotals), int),
    _Table("failures", TypeAdapter(Failures), _read_bucket),
    _Table("skipped", TypeAdapter(SkippedBucket), _read_bucket),
    _Table("draining", TypeAdapter(bool), str),
)
_BY_NAME = {table.name: table for table in _TABLES}


def encode(delta: Delta) -> Fields:
    """The fields that `delta` writes and removes."""
    fields = Fields({}, set())
    if delta.header is not None:
        fields.written[HEADER] = _HEADER.dump_json(delta.header).decode()
    for table in _TABLES:
        for key, value in getattr(delta, table.name).items():
            name = f"{table.name}:{key}"
            if value is None:
                fields.removed.add(name)
            else:
                fields.written[name] = table.value.dump_json(value).decode()
    return fields


def decode(fields: Mapping[str, str], *, job: str, address: str) -> JobState:
    """The state in the fields of a store. Raises StateTooNew, and StateCorrupt where they cannot be understood."""
    try:
        header = _read_header(fields[HEADER], job=job, address=address)
        tables: dict[str, dict[Any, Any]] = {table.name: {} for table in _TABLES}
        for name, text in fields.items():
            if name != HEADER:
                table_name, _, key = name.partition(":")
                table = _BY_NAME[table_name]
                tables[table_name][table.read_key(key)] = table.value.validate_json(text)
    except (KeyError, ValueError, TypeError, ValidationError) as error:
        raise StateCorrupt(job=job, address=address, what=str(error).splitlines()[0]) from error
    return JobState(header=header, **tables)


def decode_change(change: Change, *, job: str, address: str) -> Delta:
    """The change of a state that `change` describes. Raises StateTooNew and StateCorrupt."""
    header: Header | None = None
    tables: dict[str, dict[Any, Any]] = {table.name: {} for table in _TABLES}
    try:
        for name, text in [*change.written.items(), *dict.fromkeys(change.removed).items()]:
            table_name, _, key = name.partition(":")
            if name != HEADER:
                table = _BY_NAME[table_name]
                tables[table_name][table.read_key(key)] = None if text is None else table.value.validate_json(text)
            elif text is not None:
                header = _read_header(text, job=job, address=address)
    except (KeyError, ValueError, TypeError, ValidationError) as error:
        raise StateCorrupt(job=job, address=address, what=str(error).splitlines()[0]) from error
    return Delta(header=header, **tables)


def _read_header(text: str, *, job: str, address: str) -> Header:
    found = json.loads(text)["format"]
    if found > FORMAT:
        raise StateTooNew(job=job, address=address, format=found, known=FORMAT)
    # From now on it is a state of this version: one that knows less must not write to it.
    return replace(_HEADER.validate_json(text), format=FORMAT)
