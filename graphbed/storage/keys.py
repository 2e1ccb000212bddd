"""Object keys: checked before they become a path or a part of a request."""

import re

from graphbed.errors import BadName

MAX_KEY_CHARACTERS = 768
"""S3 allows 1024 bytes; the rest is for the prefix in the bucket."""
# A segment begins with no dot: names such as "..", and the directory store's own hidden folder, are no keys.
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=-]{0,199}")


def check_key(key: str) -> str:
    """Return `key` if it may name an object: segments joined by '/'; raise BadName otherwise."""
    if len(key) > MAX_KEY_CHARACTERS or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise BadName(name=repr(key[:80]))
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` if keys can begin with it (it may be empty or end inside a segment); raise BadName otherwise."""
    whole, _, last = prefix.rpartition("/")
    if whole:
        check_key(whole)
    if (prefix.startswith("/")) or (last and not _SEGMENT.fullmatch(last)):
        raise BadName(name=repr(prefix[:80]))
    return prefix
