"""Documents: JSON objects of the store that say which layout they have, so that an older reader refuses a newer one."""

import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from graphbed.errors import ObjectCorrupt, ObjectTooNew
from graphbed.storage.objects import ObjectStore


class Document(BaseModel):
    """A part of a document: frozen, and nothing in it that this version does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> bytes:
        """As it is stored."""
        return self.model_dump_json(indent=1).encode()


D = TypeVar("D", bound=Document)


def parse_document(kind: type[D], data: bytes, *, newest_format: int, key: str, store: ObjectStore) -> D:
    """The document in `data`, found under `key`.

    Raises ObjectTooNew if its format is above `newest_format`, and ObjectCorrupt if it cannot be understood.
    """
    try:
        if json.loads(data)["format"] > newest_format:
            raise ObjectTooNew(key=key, store=store.address)
        return kind.model_validate_json(data)
    except (ValueError, KeyError, TypeError) as error:
        raise ObjectCorrupt(key=key, store=store.address, what=str(error).splitlines()[0]) from error
