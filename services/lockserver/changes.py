"""Changes of a job's fields, in the order they were made: what a server that knew an older state has missed."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

REMEMBERED = 200
"""Changes that a state store remembers of each job, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one compare-and-set did, or several of them together."""

    before: str
    """The tag that it expected; empty where it created the job."""
    after: str
    written: Mapping[str, str]
    removed: AbstractSet[str]


def since(newest_first: Iterable[Change], tag: str) -> Change | None:
    """All changes after the state of `tag` as one; None unless they lead back to it without a gap."""
    missed: list[Change] = []
    for change in newest_first:
        if missed and change.after != missed[-1].before:
            return None
        missed.append(change)
        if change.before == tag:
            return _together(missed[::-1])
    return None


def _together(oldest_first: list[Change]) -> Change:
    written: dict[str, str] = {}
    removed: set[str] = set()
    for change in oldest_first:
        for name in change.removed:
            written.pop(name, None)
        removed.update(change.removed)
        written.update(change.written)
        removed.difference_update(change.written)
    return Change(before=oldest_first[0].before, after=oldest_first[-1].after, written=written, removed=removed)
