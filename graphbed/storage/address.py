"""Store addresses: a path, file:///path, or s3://bucket/prefix with endpoint and keys from the environment."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from graphbed.errors import InputError
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.objects import ObjectStore
from graphbed.storage.s3 import S3Store

_DEFAULT_REGION = "us-east-1"


def open_store(url: str, environ: Mapping[str, str]) -> ObjectStore:
    """The store at `url`; nothing is written and nobody is asked yet.

    For s3:// the environment holds GRAPHBED_S3_ENDPOINT, GRAPHBED_S3_ACCESS_KEY, GRAPHBED_S3_SECRET_KEY (or the names
    of files that hold the keys, in the same variables with _FILE behind them) and, if needed, GRAPHBED_S3_REGION.
    Raises InputError.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        if not url:
            raise InputError(what="The address of the store is empty; give a path, file:///path or s3://bucket/prefix.")
        return DirectoryStore(Path(url).expanduser())
    if scheme == "file":
        if not rest.startswith("/"):
            raise InputError(what=f"The store {url} must name a whole path, as in file:///path.")
        return DirectoryStore(unquote(rest))
    if scheme == "s3":
        return _open_s3(url, environ)
    raise InputError(what=f"The store {url} is of no known kind; give a path, file:///path or s3://bucket/prefix.")


def _open_s3(url: str, environ: Mapping[str, str]) -> S3Store:
    parts = urlsplit(url)
    if "@" in parts.netloc or ":" in parts.netloc:
        # Not repeated in the message: what stands before the @ is most likely a key.
        raise InputError(what="The store must be s3://bucket/prefix; endpoint and keys belong in the environment.")
    if not parts.netloc or parts.query or parts.fragment:
        raise InputError(what=f"The store {url} must look like s3://bucket/prefix.")
    return S3Store(
        endpoint=_required(environ, "GRAPHBED_S3_ENDPOINT", url),
        bucket=parts.netloc,
        prefix=parts.path,
        access_key=_secret(environ, "GRAPHBED_S3_ACCESS_KEY", url),
        secret_key=_secret(environ, "GRAPHBED_S3_SECRET_KEY", url),
        region=environ.get("GRAPHBED_S3_REGION", "").strip() or _DEFAULT_REGION,
    )


def _required(environ: Mapping[str, str], name: str, url: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise InputError(what=f"The store {url} needs the environment variable {name}.")
    return value


def _secret(environ: Mapping[str, str], name: str, url: str) -> str:
    """The value of `name`, or the content of the file that `name`_FILE names."""
    path = environ.get(f"{name}_FILE", "").strip()
    if not path:
        return _required(environ, name, url)
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        kind = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(what=f"{name}_FILE: cannot read {path}: {kind}.") from None
    if not value:
        raise InputError(what=f"{name}_FILE: {path} is empty.")
    return value
