"""One job's sums: what is permanent, and what each live lease has added so far. No locks, no input or output.

Tensors are never changed in place, only replaced, so whoever holds one may read it without a lock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from graphbed.clients.tensors import Tensor, Tensors
from graphbed.errors import JobUnsettled, LeaseLost, PushMissing, TensorDiffers, TensorUnknown, TooLarge
from graphbed.storage.receipt import Receipt

Shapes: TypeAlias = dict[str, tuple[int, ...]]

MAX_LIVE_LEASES = 512
"""More than any cluster has trainers, each with two leases; keeps strangers from filling the memory."""

MAX_BASES = 16
"""How many bases are remembered; the lock server names the newest, or the one before."""

MAX_REMEMBERED = 1 << 16
"""How many ended leases are remembered. A push of one that was forgotten counts until the next settle, no longer."""


@dataclass(slots=True, kw_only=True)
class LiveDelta:
    """What one lease has added so far."""

    delta: Tensors
    sequence: int
    first_pushed: int
    """Rounds that the server had issued when the lease's first push came."""
    receipt: Receipt | None = None
    """Of the sealed delta, which does not change any more."""


@dataclass(slots=True)
class JobSums:
    """State of one job."""

    oldest_round: int
    """A settle counts only if its state was read after this round was issued."""
    initial: Tensors | None = None
    permanent: Tensors = field(default_factory=dict)
    """Initial values or base, plus the committed deltas in the order of their commits."""
    settled: bool = False
    live: dict[str, LiveDelta] = field(default_factory=dict)
    _order: list[str] = field(default_factory=list)
    """The committed leases whose deltas are in `permanent`, since the oldest base in `_bases`."""
    _bases: dict[str, int] = field(default_factory=dict)
    """Key of each base that is known to hold the first n of `_order`; "" stands for the initial values."""
    _folded: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Key of each base that was written here → the leases in it that no settle has told of; the newest last."""
    _over: dict[str, None] = field(default_factory=dict)
    """Leases that are committed or void, the oldest first."""

    @property
    def shapes(self) -> Shapes:
        """Shape of each tensor that is known."""
        return {name: tensor.shape for name, tensor in (self.initial or self.permanent).items()}

    def declare(self, tensors: Tensors) -> None:
        """Take `tensors` as the initial values unless some are known. Raises TensorDiffers."""
        known = self.shapes
        if known:
            for name in sorted(known.keys() | tensors.keys()):
                given = tensors[name].shape if name in tensors else None
                if given != known.get(name):
                    raise TensorDiffers(name=name, shape=given, known=known.get(name))
        if self.initial is None:
            self.initial = tensors

    def push(self, lease_id: str, sequence: int, delta: Tensors, *, rounds: int) -> bool:
        """Replace the lease's delta if `sequence` is higher than what is held; return whether it was.

        Raises TensorUnknown, TensorDiffers, JobUnsettled, LeaseLost, TooLarge.
        """
        self.check(delta)
        if not self.settled:
            raise JobUnsettled()
        if lease_id in self._over:
            raise LeaseLost(lease=lease_id)
        held = self.live.get(lease_id)
        if held is None:
            if len(self.live) >= MAX_LIVE_LEASES:
                raise TooLarge(what="the number of leases that push at once", limit=MAX_LIVE_LEASES)
            self.live[lease_id] = LiveDelta(delta=delta, sequence=sequence, first_pushed=rounds)
            return True
        if sequence <= held.sequence:
            return False
        if held.receipt is not None:
            raise LeaseLost(lease=lease_id, why="its delta is sealed")
        held.delta, held.sequence = delta, sequence
        return True

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise TensorUnknown or TensorDiffers unless each of `tensors` is known in this shape."""
        known = self.shapes
        for name, tensor in tensors.items():
            if name not in known:
                raise TensorUnknown(name=name)
            if tensor.shape != known[name]:
                raise TensorDiffers(name=name, shape=tensor.shape, known=known[name])

    def parts(self, names: Sequence[str]) -> list[Tensors]:
        """What a pull adds up: the permanent values of `names` (all if empty), then each live delta by lease id.

        Raises TensorUnknown, JobUnsettled.
        """
        known = self.shapes
        if not known:
            raise TensorUnknown(name=names[0] if names else "any")
        for name in names:
            if name not in known:
                raise TensorUnknown(name=name)
        if not self.settled:
            raise JobUnsettled()
        wanted = set(names) or known.keys()
        found = [self.permanent, *(self.live[lease_id].delta for lease_id in sorted(self.live))]
        return [{name: tensor for name, tensor in part.items() if name in wanted} for part in found]

    def held(self, lease_id: str, sequence: int) -> LiveDelta:
        """The lease's delta, if it is that of push `sequence`. Raises LeaseLost, PushMissing."""
        if lease_id in self._over:
            raise LeaseLost(lease=lease_id)
        held = self.live.get(lease_id)
        if held is None or held.sequence != sequence:
            raise PushMissing(lease=lease_id)
        return held

    def recover(self, lease_id: str, delta: Tensors, *, rounds: int) -> None:
        """Take in a delta that was sealed before the server's restart; any push of the lease replaces it."""
        self.live.setdefault(lease_id, LiveDelta(delta=delta, sequence=0, first_pushed=rounds))

    def included(self, base: str, committed: Sequence[str]) -> int | None:
        """How many of `committed`, counted after `base`, are all that `permanent` holds; None if it holds others."""
        start = self._bases.get(base)
        if not self.settled or start is None:
            return None
        held = self._order[start:]
        return len(held) if held == list(committed[: len(held)]) else None

    def settle(
        self,
        permanent: Tensors,
        *,
        base: str,
        committed: Sequence[str],
        live: Collection[str],
        seen: int,
        issued: int,
    ) -> int:
        """Make `permanent`, which is `base` plus `committed`, current, forget void leases; return how many.

        Void is a lease that is neither live nor committed and whose first push came before round `seen` was issued: a
        later one may have been granted after the caller read its state. `issued` is the round of this settle.
        """
        if self.included(base, committed) is None:
            self._bases = {base: 0}
        else:
            # Bases older than the caller's will not be named again.
            start = self._bases[base]
            self._bases = {key: place - start for key, place in self._bases.items() if place >= start}
        self._order = list(committed)
        self.permanent = permanent
        self.settled = True
        self.oldest_round = issued
        told = [*self._folded.get(base, ()), *committed]
        self._folded[base] = ()
        counted = {*told, *live}
        void = [
            lease_id for lease_id, held in self.live.items() if lease_id not in counted and held.first_pushed < seen
        ]
        self._end([*told, *void])
        return len(void)

    def compacted(self, base: str, deltas: Sequence[str], key: str) -> None:
        """Remember that the object `key` holds `base` plus `deltas`.

        The caller knows of commits that no settle has told yet: when one names `key`, their leases are over too.
        """
        self._folded[key] = (*self._folded.get(base, ()), *deltas)
        while len(self._folded) > MAX_BASES:
            del self._folded[next(iter(self._folded))]
        start = self._bases.get(base)
        if start is not None and self._order[start : start + len(deltas)] == list(deltas):
            self._bases[key] = start + len(deltas)

    def _end(self, lease_ids: Iterable[str]) -> None:
        for lease_id in lease_ids:
            self.live.pop(lease_id, None)
            self._over[lease_id] = None
        for lease_id in list(self._over)[: max(len(self._over) - MAX_REMEMBERED, 0)]:
            del self._over[lease_id]


def add_up(parts: Iterable[Tensors]) -> Tensors:
    """The sum of `parts`, one after another in float32, so that the same parts in the same order give the same bits.

    A tensor that a part does not name is zero there; the first part names all.
    """
    iterator = iter(parts)
    total = dict(next(iterator))
    for part in iterator:
        for name, tensor in part.items():
            total[name] = total[name] + tensor
    return total
