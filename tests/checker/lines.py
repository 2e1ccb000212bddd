"""Lines of history, as the processes of a cluster wrote them, and the operations that they tell of."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that one process told."""

    process: str
    """Name of its file, without the ending."""
    event: str
    at: float
    """Monotonic seconds of the machine."""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that took time: its first line, and its second if there is one."""

    name: str
    begun: Line
    ended: Line | None

    @property
    def facts(self) -> dict[str, Any]:
        """What both lines tell."""
        return {**self.begun.facts, **(self.ended.facts if self.ended else {})}

    @property
    def succeeded(self) -> bool:
        """Whether it is known to have ended well."""
        return self.ended is not None and "error" not in self.ended.facts


def parse_line(process: str, text: str) -> Line:
    """One line of a file; raises ValueError."""
    facts = json.loads(text)
    return Line(process=process, event=facts.pop("event"), at=facts.pop("at"), facts=facts)


def read_lines(folder: Path) -> list[Line]:
    """All lines of all files, by time. The last line of a file is left out if it has no end."""
    lines = []
    for path in sorted(folder.glob("*.jsonl")):
        whole = path.read_text().rpartition("\n")[0]
        lines += [parse_line(path.stem, text) for text in whole.splitlines()]
    return sorted(lines, key=lambda line: line.at)


def operations(lines: Iterable[Line]) -> list[Operation]:
    """The operations in the order of their beginnings."""
    begun: list[Line] = []
    ended: dict[tuple[str, int], Line] = {}
    for line in lines:
        if "op" not in line.facts:
            continue
        if line.event.endswith(" ended"):
            ended[line.process, line.facts["op"]] = line
        else:
            begun.append(line)
    return [Operation(name=line.event, begun=line, ended=ended.get((line.process, line.facts["op"]))) for line in begun]
