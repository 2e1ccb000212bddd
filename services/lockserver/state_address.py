"""The state store that an address names."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from graphbed.errors import InputError
from graphbed.rpc import environment
from services.lockserver.file_store import FileStateStore
from services.lockserver.state_store import StateStore


def open_state(url: str, environ: Mapping[str, str]) -> StateStore:
    """The store at `url`: a path, file:///path, or redis://host:port/number; it was reached when this returns.

    The password of Redis comes from GRAPHBED_REDIS_PASSWORD or the file that GRAPHBED_REDIS_PASSWORD_FILE names.
    Raises InputError, StoreUnavailable, StoreDenied.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(what="the state's address is not a URL") from error
    if parts.scheme in ("redis", "rediss"):
        # Only a cluster needs the client library; a file does not.
        from services.lockserver.redis_store import RedisStateStore

        store = RedisStateStore(parts, password=environment.secret(environ, "GRAPHBED_REDIS_PASSWORD"))
        store.ping()
        return store
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise InputError(what=f"the state's address {url} must have three slashes: file:///path")
        return FileStateStore(Path(unquote(parts.path)))
    if "://" in url:
        raise InputError(what=f"the state's address begins with {parts.scheme}://; use file:// or redis://")
    return FileStateStore(Path(url))
