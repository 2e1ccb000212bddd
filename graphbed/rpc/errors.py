"""Errors on the wire: the catalogue's reason and facts travel in the trailing metadata of a failed call."""

import json
from typing import Any, TypeAlias

import grpc

from graphbed.errors import GraphbedError, ServerFailed, ServerUnreachable, TooLarge

REASON_KEY = "graphbed-reason"
FACTS_KEY = "graphbed-facts-bin"

# gRPC refuses headers above 8 KiB in all; percent-encoding makes up to three bytes of one of the message, base64 four
# of three of the facts.
_MESSAGE_LIMIT_BYTES = 1024
_FACTS_LIMIT_BYTES = 2048
_FACTS_LIMIT = 16

# Without a reason these come from gRPC itself: nobody listens, too slow, or the server ended the call as it went away.
_UNREACHABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]


def to_wire(error: GraphbedError) -> tuple[grpc.StatusCode, str, Metadata]:
    """Status code, public message and trailing metadata of `error`; bounded in size."""
    facts = list(error.facts.items())[:_FACTS_LIMIT]
    share = _FACTS_LIMIT_BYTES // max(len(facts), 1)
    clipped = {_clip(name, 64): _clip(value, share) for name, value in facts}
    metadata: Metadata = (
        (REASON_KEY, error.reason),
        (FACTS_KEY, json.dumps(clipped, ensure_ascii=False).encode()),
    )
    return error.code, _clip(" ".join(str(error).split()), _MESSAGE_LIMIT_BYTES), metadata


def from_wire(error: grpc.RpcError, *, service: str, address: str) -> GraphbedError:
    """The catalogue's error for a failed call to `service` at `address`."""
    ended: Any = error  # what gRPC raises at the client is the error and the ended call in one
    code: grpc.StatusCode = ended.code()
    details = ended.details() or code.name
    metadata: dict[str, str | bytes] = dict(ended.trailing_metadata() or ())
    reason = metadata.get(REASON_KEY)
    if isinstance(reason, str):
        found = _by_reason().get(reason)
        if found is not None:
            return found(**_facts(metadata.get(FACTS_KEY)))
    elif code in _UNREACHABLE:
        return ServerUnreachable(service=service, address=address)
    elif code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return TooLarge(what=f"A message between here and the {service} at {address}")
    return ServerFailed(service=service, address=address, what=_clip(details, _MESSAGE_LIMIT_BYTES))


def _by_reason() -> dict[str, type[GraphbedError]]:
    found: dict[str, type[GraphbedError]] = {GraphbedError.reason: GraphbedError}
    pending = list(GraphbedError.__subclasses__())
    while pending:
        kind = pending.pop()
        found.setdefault(kind.reason, kind)
        pending.extend(kind.__subclasses__())
    return found


def _facts(data: str | bytes | None) -> dict[str, str]:
    try:
        facts = json.loads(data or b"{}")
    except ValueError:
        return {}
    if not isinstance(facts, dict):
        return {}
    # `self` is the one name that a keyword argument of a method cannot have.
    return {name: str(value) for name, value in facts.items() if name != "self"}


def _clip(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8."""
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 3].decode(errors="ignore") + "…"
