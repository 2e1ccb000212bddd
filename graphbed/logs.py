"""Logs: one JSON object a line on stderr, event in words, facts as keys."""

import contextvars
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import structlog

from graphbed.errors import InputError
from graphbed.log_repeats import RepeatFilter

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "text")

_SECRET_KEY = re.compile(r"password|secret|token|credential", re.IGNORECASE)
_USER_INFO = re.compile(r"(://)[^/@\s]+@")
_HIDDEN = "***"
_REPEATS = RepeatFilter()

_Facts: TypeAlias = MutableMapping[str, Any]

_BOUND: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("bound", default=MappingProxyType({}))
"""What every line of this thread carries."""


def configure(level: str, format: str, service: str) -> None:  # noqa: A002 - the word people know
    """Send every log line of this process, those of libraries included, to stderr. Raises InputError.

    `format` is json, or text for people; each line carries `ts` (RFC 3339, UTC), `level`, `msg` and `service`.
    """
    if level not in LEVELS:
        raise InputError(what=f"GRAPHBED_LOG_LEVEL is {level!r}; it must be one of {', '.join(LEVELS)}")
    if format not in FORMATS:
        raise InputError(what=f"GRAPHBED_LOG_FORMAT is {format!r}; it must be one of {', '.join(FORMATS)}")

    def add_service(_logger: object, _method: str, facts: _Facts) -> _Facts:
        facts["service"] = service
        return facts

    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), event_key="msg", timestamp_key="ts")
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
                add_service,
                _add_bound,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                hide_secrets,
                structlog.processors.EventRenamer("msg"),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # urllib3 logs each retry of the object store; the store reports what matters itself.
    logging.getLogger("urllib3").setLevel("ERROR")


def get_logger(name: str = "graphbed") -> structlog.stdlib.BoundLogger:
    """A logger that takes facts as keywords: `log.info("lease committed", lease=…)`.

    Goes through the standard library's logging, so that it is quiet below warnings until `configure` was called. Lines
    that repeat each other are thinned out.
    """
    return cast(
        structlog.stdlib.BoundLogger,
        structlog.wrap_logger(
            logging.getLogger(name),
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.stdlib.PositionalArgumentsFormatter(),
                _add_bound,
                _REPEATS,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
        ),
    )


@contextmanager
def bound(**facts: object) -> Iterator[None]:
    """Add `facts` to every line that this thread logs inside, those of libraries included."""
    before = _BOUND.get()
    bind(**facts)
    try:
        yield
    finally:
        _BOUND.set(before)


def bind(**facts: object) -> None:
    """Add `facts` to every line that this thread logs until the `bound` around it ends."""
    _BOUND.set({**_BOUND.get(), **facts})


def carrying(target: Callable[[], None]) -> Callable[[], None]:
    """`target` for another thread, whose lines then carry what is bound in this one now."""
    return partial(contextvars.copy_context().run, target)


def _add_bound(_logger: object, _method: str, facts: _Facts) -> _Facts:
    """What the line itself says comes before what is bound."""
    for key, value in _BOUND.get().items():
        facts.setdefault(key, value)
    return facts


def hide_secrets(_logger: object, _method: str, facts: _Facts) -> _Facts:
    """Blank what must never be logged: values under telling keys, and the user part of addresses."""
    for key, value in facts.items():
        if _SECRET_KEY.search(key):
            facts[key] = _HIDDEN
        elif isinstance(value, str) and "://" in value:
            facts[key] = _USER_INFO.sub(rf"\1{_HIDDEN}@", value)
    return facts
