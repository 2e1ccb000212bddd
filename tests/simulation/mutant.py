"""A mutant: one bug to be planted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One bug: in `file`, `old` (there exactly once) becomes `new`."""

    name: str
    file: str
    old: str
    new: str
