"""The parameter server of the simulated world: the real sums, which its faults make it forget; every sum is checked."""

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from graphbed.errors import ServerUnreachable
from graphbed.storage import layout
from graphbed.storage.receipt import Receipt
from graphbed.v1 import paramserver_pb2
from services.paramserver.job import ServedJob
from services.paramserver.objects import ParameterObjects
from services.paramserver.rounds import Round, Rounds
from tests.simulation.observer import Observer
from tests.simulation.stores import MANY_EVENTS, FailingCalls, FailingObjects, Objects
from tests.simulation.values import INITIAL, NAME, WHOLLY, sum_of, value_of
from tests.simulation.world import Crashed, World

A = TypeVar("A")

DOWN_SECONDS = (0.05, 1.0)
MAX_BYTES = 1 << 20


@dataclass(slots=True)
class _Pushed:
    """What a lease has pushed last in this life of the server, and how many rounds it had issued at the first push."""

    sequence: int
    first: int


class ParameterServer:
    """One server for one job's name; up with what it was told since its start, or down."""

    address = "simulated parameter server"

    def __init__(self, world: World, objects: Objects, observer: Observer, job: str) -> None:
        self._world = world
        self._objects = objects
        self._observer = observer
        self._job = job
        self._lives = 0
        self._rounds = Rounds("")
        self._served: ServedJob | None = None
        self._pushed: dict[str, _Pushed] = {}
        self._settled = False
        self.contents: dict[str, tuple[str, ...]] = {}
        """Base object → the leases whose deltas it holds."""
        self._start()
        world.after(1.0, self._look)

    def declare(self) -> None:
        self._serve("declare", lambda served: served.declare(INITIAL))

    def push(self, lease_id: str, sequence: int) -> None:
        def push(served: ServedJob) -> None:
            if served.push(lease_id, sequence, {NAME: value_of(lease_id, sequence)}):
                known = self._pushed.get(lease_id)
                self._pushed[lease_id] = _Pushed(sequence, known.first if known else self._rounds.issued)

        self._serve("push", push)

    def seal(self, lease_id: str) -> Receipt:
        return self._serve("seal", lambda served: served.seal(lease_id, WHOLLY))

    def settle(
        self,
        seen: Round | None,
        base: Receipt | None,
        committed: Sequence[tuple[str, Receipt]],
        live: Collection[str],
        generation: int,
    ) -> Round:
        held = (*self._held_by(base), *(lease_id for lease_id, _ in committed))
        self._observer.require_recent(held, frozenset(live))

        def settle(served: ServedJob) -> Round:
            settled = served.settle(seen, base, committed, live, generation)
            if settled.effective:
                self._require_sum(served, seen, held, committed=[lease_id for lease_id, _ in committed], live=live)
            return settled.round

        return self._serve("sum up", settle)

    def compact(
        self, sequence: int, base: Receipt | None, deltas: Sequence[tuple[str, Receipt]], nonce: str
    ) -> Receipt:
        receipt = self._serve("compact", lambda served: served.compact(sequence, base, deltas, nonce))
        self.contents[receipt.key] = (*self._held_by(base), *(lease_id for lease_id, _ in deltas))
        return receipt

    def forget(self) -> None:
        self._serve("forget", lambda _: self._begin())

    def _require_sum(
        self,
        served: ServedJob,
        seen: Round | None,
        held: Sequence[str],
        *,
        committed: Sequence[str],
        live: Collection[str],
    ) -> None:
        """The sums are what is committed, what lives, and what was pushed since the caller looked: nothing void."""
        if not self._settled:
            # What was sealed before the restart and may be committed at any moment; it was taken in before this round.
            for lease_id in set(live).difference(committed, self._pushed):
                if layout.parameter_delta(self._job, lease_id) in self._objects.data:
                    self._pushed[lease_id] = _Pushed(WHOLLY, self._rounds.issued - 1)
        self._settled = True
        since = seen.number if seen else 0
        self._pushed = {
            lease_id: pushed
            for lease_id, pushed in self._pushed.items()
            if lease_id not in held and (lease_id in live or pushed.first >= since)
        }
        expected = sum_of(held)
        for lease_id, pushed in self._pushed.items():
            expected = expected + value_of(lease_id, pushed.sequence)
        found = served.pull([NAME])[NAME]
        assert np.array_equal(found, expected), f"the sums are {found}, not {expected}, which {len(held)} leases make"

    def _held_by(self, base: Receipt | None) -> tuple[str, ...]:
        return self.contents[base.key] if base else ()

    def _serve(self, what: str, work: Callable[[ServedJob], A]) -> A:
        if self._served is None:
            raise ServerUnreachable(service="paramserver", address=self.address)
        self._world.serving.append(what)
        try:
            return work(self._served)
        except Crashed:
            self._die()
            raise ServerUnreachable(service="paramserver", address=self.address) from None
        finally:
            self._world.serving.pop()

    def _look(self) -> None:
        self._world.after(1.0, self._look)
        if self._served is not None and self._world.chance("parameters_crash"):
            self._die()

    def _die(self) -> None:
        self._served = None
        self._world.after(self._world.random.uniform(*DOWN_SECONDS), self._start)

    def _start(self) -> None:
        self._lives += 1
        self._rounds = Rounds(f"life {self._lives}")
        self._begin()

    def _begin(self) -> None:
        """Hold nothing; a settle counts only if its caller looked later."""
        store = FailingObjects(self._world, self._objects, deadly=True)
        objects = ParameterObjects(store, max_bytes=MAX_BYTES)
        oldest = self._rounds.issued + 1 if self._rounds.issued else 0
        self._served = ServedJob(self._job, objects, self._rounds, oldest_round=oldest)
        self._pushed = {}
        self._settled = False


class _Link(FailingCalls):
    """The way to the parameter server."""

    def __init__(self, world: World, server: ParameterServer, *, deadly: bool, depth: list[int] | None = None) -> None:
        unreachable = functools.partial(ServerUnreachable, service="paramserver", address=server.address)
        super().__init__(world, server.address, deadly=deadly, depth=depth, refusal=unreachable)
        self._server = server


class TrainerLink(_Link):
    """As trainers use it."""

    def push(self, lease_id: str, sequence: int) -> None:
        """Raises LeaseLost, JobUnsettled, ServerUnreachable."""
        self._call("declare", self._server.declare, changes=True)
        self._call("push", lambda: self._server.push(lease_id, sequence), changes=True)

    def seal(self, lease_id: str) -> Receipt:
        """Raises LeaseLost, PushMissing, ServerUnreachable, StoreUnavailable."""
        return self._call("seal", lambda: self._server.seal(lease_id), changes=True)


class ServerLink(_Link):
    """As lock servers use it, which may be overtaken by others between reading a state and telling it."""

    def settle(
        self,
        job: str,
        seen: paramserver_pb2.SettleRound | None,
        base: Receipt | None,
        committed: Sequence[tuple[str, Receipt]],
        live: Sequence[str],
        *,
        generation: int,
    ) -> paramserver_pb2.SettleRound:
        self._let_others_go_first(MANY_EVENTS)
        known = Round(seen.server_id, seen.number) if seen else None
        issued = self._call(
            "settle", lambda: self._server.settle(known, base, committed, live, generation), changes=True
        )
        return paramserver_pb2.SettleRound(server_id=issued.server_id, number=issued.number)

    def compact(
        self, job: str, manifest_sequence: int, base: Receipt | None, deltas: Sequence[tuple[str, Receipt]]
    ) -> Receipt:
        nonce = f"{self._world.random.getrandbits(128):032x}"
        return self._call("compact", lambda: self._server.compact(manifest_sequence, base, deltas, nonce), changes=True)

    def forget(self, job: str) -> None:
        self._call("forget", self._server.forget, changes=True)
