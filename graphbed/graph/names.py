"""Names that people give, checked before they become object keys."""

import re

from graphbed.errors import BadName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def check_name(name: str) -> str:
    """Return `name` if it may name a job, a graph, a split or an entity type; raise BadName otherwise."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise BadName(name=repr(name[:80]))
    return name
