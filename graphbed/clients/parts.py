"""Work that a lock server does part by part, a bounded one with each request: asked for until nothing is left."""

from collections.abc import Callable
from typing import Protocol, TypeVar


class Part(Protocol):
    """What one request did."""

    @property
    def objects(self) -> int: ...

    @property
    def finished(self) -> bool: ...


P = TypeVar("P", bound=Part)


def delete_in_parts(delete: Callable[[], P]) -> list[P]:
    """What each call of `delete` did; it is called until the job is gone. Raises what it raises."""
    return _parts(delete, lambda part: part.finished)


def collect_in_parts(collect: Callable[[], P], *, dry_run: bool) -> list[P]:
    """What each call of `collect` did; it is called once in a dry run, else until nothing more may go by now."""
    return _parts(collect, lambda part: dry_run or part.finished or not part.objects)


def _parts(ask: Callable[[], P], ended: Callable[[P], bool]) -> list[P]:
    parts = [ask()]
    while not ended(parts[-1]):
        parts.append(ask())
    return parts
