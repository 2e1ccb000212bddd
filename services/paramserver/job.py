"""One job as it is served: its sums behind a lock, and what has to be read from or written to the store."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from graphbed.clients.tensors import Tensors
from graphbed.errors import JobUnsettled, ObjectCorrupt, SettleOld
from graphbed.logs import get_logger
from graphbed.storage import layout
from graphbed.storage.receipt import Receipt
from services.paramserver.objects import ParameterObjects, require_finite
from services.paramserver.rounds import Round, Rounds
from services.paramserver.sums import JobSums, Shapes, add_up

log = get_logger("graphbed.paramserver")

Deltas = Sequence[tuple[str, Receipt]]
"""Lease ids and receipts of sealed deltas, in the order of their commits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one settle did."""

    round: Round
    """To be named by the caller's next settle."""
    effective: bool
    """False: it was stale or too early, and changed nothing."""
    committed: int = 0
    void: int = 0


class ServedJob:
    """Safe for concurrent threads; arithmetic and the store are never waited for under the lock of the sums."""

    def __init__(self, name: str, objects: ParameterObjects, rounds: Rounds, *, oldest_round: int) -> None:
        self._name = name
        self._objects = objects
        self._rounds = rounds
        self._sums = JobSums(oldest_round)
        self._generation = 0
        """The newest generation that has settled this job."""
        self._lock = threading.Lock()
        # Permanent values change by one hand at a time.
        self._settling = threading.Lock()
        # Two pushes of one lease have one name in the store.
        self._sealing = threading.Lock()

    @property
    def live_leases(self) -> int:
        """Leases whose deltas are served and not yet permanent."""
        return len(self._sums.live)

    def declare(self, tensors: Tensors) -> None:
        """Take the initial values unless they are known. Raises TensorDiffers."""
        with self._lock:
            self._sums.declare(tensors)

    def push(self, lease_id: str, sequence: int, delta: Tensors) -> bool:
        """Replace the lease's delta; return whether it was new. Raises as JobSums.push."""
        with self._lock:
            return self._sums.push(lease_id, sequence, delta, rounds=self._rounds.issued)

    def pull(self, names: Sequence[str]) -> Tensors:
        """The current sums. Raises TensorUnknown, JobUnsettled."""
        with self._lock:
            parts = self._sums.parts(names)
        return add_up(parts)

    def seal(self, lease_id: str, sequence: int) -> Receipt:
        """Make the lease's delta durable and final. Raises PushMissing, LeaseLost, StoreUnavailable."""
        with self._sealing:
            with self._lock:
                held = self._sums.held(lease_id, sequence)
                if held.receipt is not None:
                    return held.receipt
                delta = held.delta
            receipt = self._objects.write(layout.parameter_delta(self._name, lease_id), delta)
            with self._lock:
                # It may have been voided, or pushed again, during the write.
                self._sums.held(lease_id, sequence).receipt = receipt
        return receipt

    def settle(
        self, seen: Round | None, base: Receipt | None, committed: Deltas, live: Collection[str], generation: int
    ) -> Settled:
        """Make the committed leases permanent and subtract the void ones; see Jobs.settle."""
        lease_ids = [lease_id for lease_id, _ in committed]
        live = frozenset(live)
        with self._settling:
            if generation < self._generation:
                raise SettleOld(job=self._name, own=generation, newest=self._generation)
            self._generation = generation
            if not self._is_fresh(seen):
                return Settled(round=self._rounds.issue(), effective=False)
            summed = self._sum(base, committed)
            if summed is None:
                return Settled(round=self._rounds.issue(), effective=False)
            permanent, added = summed
            found = {} if self._sums.settled else self._find_sealed(live.difference(lease_ids), permanent)
            with self._lock:
                for lease_id, delta in found.items():
                    self._sums.recover(lease_id, delta, rounds=self._rounds.issued)
                issued = self._rounds.issue()
                void = self._sums.settle(
                    permanent,
                    base=_key(base),
                    committed=lease_ids,
                    live=live,
                    seen=0 if seen is None else seen.number,
                    issued=issued.number,
                )
        return Settled(round=issued, effective=True, committed=added, void=void)

    def compact(self, manifest_sequence: int, base: Receipt | None, deltas: Deltas, nonce: str) -> Receipt:
        """Write `base` (or the initial values) plus `deltas` as one object; see Jobs.compact."""
        with self._settling:
            summed = self._sum(base, deltas)
            if summed is None:
                raise JobUnsettled(job=self._name)
            require_finite(summed[0], f"the parameters of job {self._name}")
            receipt = self._objects.write(layout.parameter_base(self._name, manifest_sequence, nonce), summed[0])
            with self._lock:
                self._sums.compacted(_key(base), [lease_id for lease_id, _ in deltas], receipt.key)
        return receipt

    def _is_fresh(self, seen: Round | None) -> bool:
        """Whether the caller read its state after everything that the sums already reflect."""
        if seen is None:
            # A lock server's first settle; later ones know better.
            return not self._sums.settled
        # A round of an earlier life of this server says nothing about what was sealed and lost since.
        return seen.server_id == self._rounds.server_id and seen.number >= self._sums.oldest_round

    def _sum(self, base: Receipt | None, deltas: Deltas) -> tuple[Tensors, int] | None:
        """`base` plus `deltas`, and how many of them were not permanent yet; None if the initial values are missing.

        Continues from the permanent values where they hold the beginning of it, else reads everything: both add in
        the same order and give the same bits. Raises ObjectMissing, ObjectCorrupt.
        """
        with self._lock:
            included = self._sums.included(_key(base), [lease_id for lease_id, _ in deltas])
            start = self._sums.initial if included is None else self._sums.permanent
            shapes = self._sums.shapes
            sealed = {held.receipt: held.delta for held in self._sums.live.values() if held.receipt is not None}
        if included is None and base is not None:
            start = self._read_base(base, shapes)
            shapes = {name: tensor.shape for name, tensor in start.items()}
        if start is None:
            return None
        rest = [
            sealed[receipt] if receipt in sealed else self._objects.read(receipt, shapes)
            for _, receipt in deltas[included or 0 :]
        ]
        return add_up([start, *rest]), len(rest)

    def _read_base(self, base: Receipt, shapes: Shapes) -> Tensors:
        tensors = self._objects.read(base, shapes)
        if not tensors or (shapes and shapes.keys() != tensors.keys()):
            raise ObjectCorrupt(key=base.key, what="it does not hold the job's tensors")
        return tensors

    def _find_sealed(self, lease_ids: Collection[str], tensors: Tensors) -> dict[str, Tensors]:
        """Deltas of live leases that were sealed before a restart: they may be committed at any moment."""
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        found: dict[str, Tensors] = {}
        for lease_id in sorted(lease_ids):
            try:
                delta = self._objects.find(layout.parameter_delta(self._name, lease_id), shapes)
            except ObjectCorrupt as error:
                # Not counted; its commit, if there is one, names it by checksum and is checked then.
                log.warning("a sealed delta is corrupt", job=self._name, lease=lease_id, detail=str(error))
                continue
            if delta is not None:
                found[lease_id] = delta
        return found


def _key(base: Receipt | None) -> str:
    return "" if base is None else base.key
