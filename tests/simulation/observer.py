"""The observer: sees every state that a job takes, and fails the run at the first one that breaks an invariant."""

from graphbed.storage import layout
from graphbed.storage.manifest import Manifest
from graphbed.storage.objects import sha256_hex
from graphbed.storage.tombstone import is_tombstone
from services.lockserver.codec import decode
from services.lockserver.plan import Plan
from services.lockserver.state import JobState, Status
from tests.simulation.ledger import Ledger, require_snapshot, skips
from tests.simulation.observed_chain import ObservedChain
from tests.simulation.observed_changes import ObservedChanges
from tests.simulation.observed_grants import ObservedGrants
from tests.simulation.observed_objects import ObservedObjects, is_over
from tests.simulation.stores import Objects
from tests.simulation.world import World

Leases = tuple[tuple[str, ...], frozenset[str]]
"""Those that are committed, in order, and those that live."""
_NONE: Leases = ((), frozenset())

RECENT_SECONDS = 20.0
"""A server may be overtaken for so long between reading a state and telling the parameter server of it."""


class Observer:
    """Checks each change of a job's state against what every change must keep."""

    def __init__(self, world: World, plan: Plan, objects: Objects, *, num_epochs: int) -> None:
        self._world = world
        self._plan = plan
        self._objects = objects
        self._state: JobState | None = None
        self._leases = _NONE
        self._told: dict[Leases, float] = {}
        """Leases of the states so far → when the job had such a one last."""
        self.chain = ObservedChain(plan, objects, num_epochs=num_epochs)
        self.changes = ObservedChanges(plan)
        self.grants = ObservedGrants(world, plan)
        self.objects = ObservedObjects(plan.job, self.chain)
        self.losses = 0
        self.deletions = 0
        """How often the job was deleted."""

    @property
    def state(self) -> JobState | None:
        """The job's state."""
        return self._state

    def observe(self, job: str, fields: dict[str, str] | None) -> None:
        """A job has a new state; None: it was lost."""
        if fields is None:
            self._become(None)
            return
        old, new = self._state, decode(fields, job=job, address="simulated")
        begins = old is None or new.header.generation > old.header.generation
        self._pointers_name_what_is_there(new)
        self.grants.observe(None if begins else old, new)
        if begins:
            self._begins_as_its_manifest_tells(old, new)
        elif old is not None:
            self.changes.observe(old, new)
        if old is None or _differs(old, new):
            self._is_what_was_committed(new)
            self._take_note(new)
        self._state = new

    def restarted(self, job: str, fields: dict[str, str]) -> None:
        """The state store has begun a new life with this state of the job, perhaps an older one."""
        self._become(decode(fields, job=job, address="simulated"))

    def removed(self, job: str) -> None:
        """The state was removed for good: the job was deleted, and all that is left of it is its tombstone."""
        newest, state = self.chain.newest, self._state
        assert newest is not None and is_tombstone(newest), "a job goes without a tombstone"
        assert state is not None, "a job goes that has no state"
        # A state that the state store was put back to says less.
        assert is_over(state, newest) or state.header.status is Status.DELETED, f"a job goes that is {state.header}"
        for key in (layout.job_document(job), *self._objects.list(layout.manifests(job))):
            left = key in self._objects.data and key != layout.manifest(job, newest.sequence)
            assert not left, f"the job is gone, and {key} is there"
        self.deletions += 1
        self._become(None)

    def require_recent(self, committed: tuple[str, ...], live: frozenset[str]) -> None:
        """Fail unless the job had these committed and live leases a moment ago."""
        when = self._world.now if self._leases == (committed, live) else self._told.get((committed, live))
        assert when is not None, "the parameter server is told of leases which no state of the job had"
        assert self._world.now - when < RECENT_SECONDS, f"the parameter server is told what was {when} s ago"

    def has_taken(self, manifest: Manifest) -> bool:
        """Whether no state of the manifest's generation goes on without it."""
        header = self._state.header if self._state is not None else None
        is_of_it = header is not None and header.generation == manifest.generation
        return not is_of_it or header.manifest_sequence >= manifest.sequence

    def lives(self, lease_id: str) -> bool:
        """Whether a lease lives."""
        return self._state is not None and lease_id in self._state.leases

    def signs(self, lease_id: str) -> tuple[int, int | None]:
        """How often the state was lost so far, and how often a lease was renewed; None: it does not live."""
        beat = self._state.beats.get(lease_id) if self._state is not None else None
        return self.losses, beat.renewals if beat else None

    def is_damaged(self, key: str) -> bool:
        """Whether an object that was stored and not deleted is not what it was."""
        return self._objects.was_stored(key) and not self._objects.is_intact(key)

    def goes(self, key: str) -> None:
        """An object is about to go."""
        self.objects.goes(key, self._state)

    def _become(self, state: JobState | None) -> None:
        """The state store holds another state of the job, and nobody has changed it to that."""
        self._state = state
        self._take_note(state)
        self.grants.forget(state)
        self.losses += 1

    def _take_note(self, state: JobState | None) -> None:
        """Remember which leases are committed and which live."""
        self._told[self._leases] = self._world.now
        if state is None or (state.header.status is Status.DELETED and not state.deltas and state.header.base is None):
            self._leases = _NONE
        else:
            self._leases = self._ledger(state).leases, frozenset(state.leases)

    def _ledger(self, state: JobState) -> Ledger:
        return self.chain.ledger(state.header.manifest_sequence).then(state.commits_in_order())

    def _begins_as_its_manifest_tells(self, old: JobState | None, new: JobState) -> None:
        """A generation begins without leases, as its first manifest or with what was committed since; with nothing that
        is damaged."""
        manifest = self.chain[new.header.manifest_sequence]
        assert manifest.generation == new.header.generation
        told = {pointer.partition: pointer.version.key for pointer in manifest.pointers}
        begun = {partition: receipt.key for partition, receipt in new.pointers.items()}
        done = {entry.bucket: entry.epochs for entry in manifest.progress if entry.epochs}
        if (begun, new.done) != (told, done):
            assert old is not None, "a state that was lost came back with other pointers than its manifest's"
            assert (new.pointers, new.done) == (old.pointers, old.done)
        else:
            assert sorted(new.skipped.values(), key=lambda entry: entry.bucket) == list(manifest.skipped)
        for receipt in new.receipts():
            assert self._objects.is_intact(receipt.key), f"a generation began with {receipt.key}, which is damaged"
        self.changes.void += len(old.leases) if old else 0
        self.losses += 1

    def _is_what_was_committed(self, state: JobState) -> None:
        """Marks and parameters are what the commits of its manifests and those since make (I7, I16)."""
        if state.header.status is Status.DELETED:
            return
        ledger = self._ledger(state)
        ledger.require_marks(state.done, skips(state.skipped.values()))
        base, deltas = state.header.base, [delta.lease_id for delta in state.deltas_in_order()]
        require_snapshot(ledger, self._objects.stored, base.key if base else None, deltas)

    def _pointers_name_what_is_there(self, state: JobState) -> None:
        old = self._state.pointers if self._state else {}
        for partition, receipt in state.pointers.items():
            if old.get(partition) == receipt:
                continue
            data = self._objects.stored.get(receipt.key)
            assert data is not None, f"{partition} points to {receipt.key}, which is not there"
            assert (len(data), sha256_hex(data)) == (receipt.size, receipt.sha256), receipt.key


def _differs(old: JobState, new: JobState) -> bool:
    """Whether more has changed than who is waiting, working or failing."""
    fields = ("generation", "status", "manifest_sequence", "base", "next_commit")
    return (
        any(getattr(old.header, name) != getattr(new.header, name) for name in fields)
        or any(getattr(old, name).keys() != getattr(new, name).keys() for name in ("leases", "deltas", "commits"))
        or (old.done, old.skipped) != (new.done, new.skipped)
    )
