"""Environment variables: how a process is told what it needs to know."""

import math
from collections.abc import Mapping
from pathlib import Path

from graphbed.errors import InputError


def read(environ: Mapping[str, str], name: str, default: str) -> str:
    """The value of `name`, or `default` if it is missing or empty."""
    return environ.get(name, "").strip() or default


def required(environ: Mapping[str, str], name: str) -> str:
    """The value of `name`. Raises InputError if it is missing or empty."""
    value = environ.get(name, "").strip()
    if not value:
        raise InputError(what=f"the environment variable {name} must be set")
    return value


def optional(environ: Mapping[str, str], name: str) -> str | None:
    """The value of `name`, or None if it is missing or empty."""
    return environ.get(name, "").strip() or None


def read_int(environ: Mapping[str, str], name: str, default: int, *, minimum: int = 1) -> int:
    """A whole number of at least `minimum`. Raises InputError."""
    text = read(environ, name, str(default))
    try:
        value = int(text)
    except ValueError:
        value = minimum - 1
    if value < minimum:
        raise InputError(what=f"{name} is {text!r}; it must be a whole number of at least {minimum}")
    return value


def read_seconds(environ: Mapping[str, str], name: str, default: float, *, minimum: float = 0.0) -> float:
    """A number of seconds of at least `minimum`. Raises InputError."""
    text = read(environ, name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < minimum:
        raise InputError(what=f"{name} is {text!r}; it must be a number of seconds of at least {minimum}")
    return value


def secret(environ: Mapping[str, str], name: str) -> str | None:
    """The value of `name`, or the content of the file that `{name}_FILE` names; None if neither is set.

    Raises InputError, which never holds the secret, if both are set or the file cannot be read.
    """
    value = environ.get(name, "")
    path = environ.get(f"{name}_FILE", "").strip()
    if value and path:
        raise InputError(what=f"both {name} and {name}_FILE are set; set one")
    if not path:
        return value or None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        kind = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(what=f"{name}_FILE: cannot read {path}: {kind}") from error
