"""The simulated world: one queue of events in virtual time, one source of chance, and counts of what happened."""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol


class Crashed(BaseException):
    """The process that runs dies here. No handler of ordinary errors sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How likely each fault is where it can happen; 0 = never."""

    lost: float = 0.03
    """A message; requests and replies alike."""
    repeated: float = 0.03
    late: float = 0.05
    """A message that takes seconds instead of milliseconds."""
    crash: float = 0.005
    """A lock server, at a call of a store: before it or after it has happened."""
    refused: float = 0.01
    """A call of a store that fails before it has happened."""
    unanswered: float = 0.01
    """A call of a store that fails after it has happened."""
    overtaken: float = 0.1
    """Another event comes between a lock server and its next call of the state store."""
    trainer_crash: float = 0.02
    """At each step of a trainer."""
    trainer_pause: float = 0.01
    state_loss: float = 0.005
    """The state store forgets everything, in any second."""
    state_restart: float = 0.005
    """The state store begins a new life with everything it had, in any second."""
    state_put_back: float = 0.005
    """The state store begins a new life without its last changes, in any second."""
    restore: float = 0.01
    """An operator goes back to an older checkpoint, in any second."""
    parameters_crash: float = 0.01
    """The parameter server, in any second."""
    store_stall: float = 0.02
    """The object store is away for seconds, or hangs, in any second."""
    damage: float = 0.05
    """An object of the newest manifest rots, in any second of a history in which objects do."""


NO_FAULTS = Faults(**dict.fromkeys(Faults.__slots__, 0.0))


@dataclass(order=True, slots=True)
class _Event:
    at: float
    number: int
    what: Callable[[], None] = field(compare=False)


class Server(Protocol):
    """A lock server, as far as others look at it."""

    name: str

    @property
    def sees_store_away(self) -> bool: ...


class World:
    """Events in the order of virtual time; the same seed makes the same history."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.random = Random(seed)
        self.faults = faults
        self.now = 0.0
        self.steps = 0
        self.happened: Counter[str] = Counter()
        """Fault or event → how often."""
        self.cells: Counter[tuple[str, str]] = Counter()
        """(request being served, fault) → how often."""
        self.serving: list[str] = []
        """The requests being served, the innermost last."""
        self.servers_at_work: list[Server] = []
        """Those that serve them, likewise."""
        self.store_is_away = False
        self._events: list[_Event] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen `seconds` from now."""
        heapq.heappush(self._events, _Event(self.now + seconds, next(self._numbers), what))

    def step(self) -> bool:
        """Let the next event happen; False if there is none."""
        if not self._events:
            return False
        event = heapq.heappop(self._events)
        self.now = max(self.now, event.at)
        self.steps += 1
        event.what()
        return True

    def chance(self, name: str) -> bool:
        """Whether the fault `name` of Faults happens here; counted if it does."""
        happens = self.random.random() < getattr(self.faults, name)
        if happens:
            self.note(name)
        return happens

    def note(self, fault: str) -> None:
        """Count a fault, and the request during which it happened."""
        self.happened[fault] += 1
        if self.serving:
            self.cells[self.serving[-1], fault] += 1
