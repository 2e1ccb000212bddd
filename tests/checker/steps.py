"""The states that a job took, rebuilt from the changes that lock servers told: a tree, for a store may forget.

A change follows the tag that it names. Where the store forgot, a new tree begins; where it forgot the end only, two
changes follow one tag, and each branch is a history of its own.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.checker.lines import Line

Place = tuple[str, int]
"""Entity type and index of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A job's state, as far as changes tell it."""

    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Live leases by id: trainer, epoch, buckets, partitions."""
    pointers: dict[Place, str] = field(default_factory=dict)
    done: dict[tuple[int, int], int] = field(default_factory=dict)
    manifest: int = 0
    generation: int = 0
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change that happened: what was before and after it."""

    line: Line
    before: Moment
    after: Moment
    life: str
    """Tag of the first state of its tree."""
    path: tuple[str, ...] = ()
    """Tags at which its history branched, the first included."""

    @property
    def begins(self) -> bool:
        """Whether this is the first state of a tree."""
        return not self.line.facts["before"]

    def told(self, name: str) -> list[Any]:
        """A list of facts of the change, empty if it told none."""
        return list(self.line.facts.get(name, []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """All changes of a job that happened, each after the one it follows."""

    steps: list[Step]
    strays: list[Line]
    """Changes that happened after something that nobody told."""


def rebuild(lines: Iterable[Line], job: str) -> Steps:
    """Find the changes that happened and what they made of the state."""
    told = [line for line in lines if line.event == "change" and line.facts["job"] == job]
    done = {line.facts["after"]: line.facts["done"] for line in lines if line.event == "changed"}
    followers: defaultdict[str, list[Line]] = defaultdict(list)
    for line in told:
        followers[line.facts["before"]].append(line)

    def happened(line: Line) -> bool:
        # Whoever follows a tag has read it.
        return bool(done.get(line.facts["after"])) or line.facts["after"] in followers

    steps: list[Step] = []
    reached: set[str] = set()
    waiting = [(line, Moment(), line.facts["after"], (line.facts["after"],)) for line in followers[""]]
    while waiting:
        line, before, life, path = waiting.pop()
        if not happened(line):
            continue
        tag = line.facts["after"]
        reached.add(tag)
        step = Step(line=line, before=before, after=_after(before, line.facts), life=life, path=path)
        steps.append(step)
        following = [follower for follower in followers[tag] if happened(follower)]
        branches = len(following) > 1
        for follower in following:
            waiting.append((follower, step.after, life, (*path, follower.facts["after"]) if branches else path))
    strays = [line for line in told if happened(line) and line.facts["after"] not in reached]
    return Steps(steps=steps, strays=strays)


def _after(before: Moment, facts: dict[str, Any]) -> Moment:
    leases, pointers, done = before.leases, before.pointers, before.done
    if "ended" in facts or "granted" in facts:
        leases = {lease: held for lease, held in leases.items() if lease not in facts.get("ended", [])}
        leases |= {lease["lease"]: lease for lease in facts.get("granted", [])}
    if "pointers" in facts:
        pointers = pointers | {(kind, index): key for kind, index, key, _ in facts["pointers"]}
    if "done" in facts:
        done = done | {(lhs, rhs): epochs for lhs, rhs, epochs in facts["done"]}
    return replace(
        before,
        leases=leases,
        pointers=pointers,
        done=done,
        manifest=facts.get("manifest", before.manifest),
        generation=facts.get("generation", before.generation),
        status=facts.get("status", before.status),
    )
