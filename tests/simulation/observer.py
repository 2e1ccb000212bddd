"""The observer: sees every state that a job takes, and fails the run at the first one that breaks an invariant."""

from collections import Counter

from graphbed.graph.partition import Bucket, Partition
from graphbed.storage import layout
from graphbed.storage.chain import named_objects
from graphbed.storage.manifest import Manifest
from graphbed.storage.objects import sha256_hex
from services.lockserver.codec import decode
from services.lockserver.plan import Plan
from services.lockserver.records import Failures, Lease
from services.lockserver.state import JobState, Status
from tests.simulation.observed_chain import ObservedChain
from tests.simulation.stores import Objects


class Observer:
    """Checks each change of a job's state against what every change must keep."""

    def __init__(self, plan: Plan, objects: Objects) -> None:
        self._plan = plan
        self._objects = objects
        self._state: JobState | None = None
        self._leases: set[str] = set()
        self.chain = ObservedChain(plan.job, objects)
        self.pinned: dict[str, frozenset[str]] = {}
        """Name of each pin that was answered → the objects that its manifest needs."""
        self.states = 0
        self.deleted = 0
        self.losses = 0
        self.committed = 0
        self.succeeded = 0
        """Commits of leases that were granted before the one before them was committed."""
        self.void = 0
        """Leases that ended without a commit."""
        self.skipped = 0
        """Buckets that were given up in an epoch."""
        self.handed_back: set[str] = set()
        """Leases that their trainers hand back without a failure."""
        self.lifted = 0
        """Buckets that were made due again."""

    def observe(self, job: str, fields: dict[str, str] | None) -> None:
        """A job has a new state; None: it was lost."""
        if fields is None:
            self._state = None
            self.losses += 1
            return
        new = decode(fields, job=job, address="simulated")
        self.states += 1
        self._leases_never_share_a_partition(new)
        self._pointers_name_what_is_there(new)
        if self._state is None or new.header.generation > self._state.header.generation:
            self._begins_as_its_manifest_tells(job, self._state, new)
        else:
            self._change_is_one_thing(self._state, new)
            self._grants_and_renewals_are_in_order(self._state, new)
        self._lease_ids_are_new(new)
        self._state = new

    def restarted(self, job: str, fields: dict[str, str]) -> None:
        """The state store has begun a new life with this state of the job, perhaps an older one."""
        self._state = decode(fields, job=job, address="simulated")
        self.losses += 1

    def _begins_as_its_manifest_tells(self, job: str, old: JobState | None, new: JobState) -> None:
        """A generation begins without leases, as its first manifest or with what was committed since."""
        assert not new.leases, "a generation began with leases"
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
        self.void += len(old.leases) if old else 0
        self.losses += 1

    def _leases_never_share_a_partition(self, state: JobState) -> None:
        """But for a lease and its one successor, which are of one trainer."""
        for lease in state.leases.values():
            parent = state.leases.get(lease.parent)
            assert parent is None or (parent.trainer == lease.trainer and parent.parent not in state.leases)
        held = Counter(
            start.partition
            for lease in state.leases.values()
            for start in lease.partitions
            if lease.parent not in state.leases or not start.from_parent
        )
        assert max(held.values(), default=1) == 1, f"two leases hold {held.most_common(1)}"
        parents = Counter(lease.parent for lease in state.leases.values() if lease.parent)
        assert max(parents.values(), default=1) == 1, f"a lease has two successors: {parents.most_common(1)}"

    def _pointers_name_what_is_there(self, state: JobState) -> None:
        old = self._state.pointers if self._state else {}
        for partition, receipt in state.pointers.items():
            if old.get(partition) == receipt:
                continue
            data = self._objects.data.get(receipt.key)
            assert data is not None, f"{partition} points to {receipt.key}, which is not there"
            assert (len(data), sha256_hex(data)) == (receipt.size, receipt.sha256), receipt.key

    def _change_is_one_thing(self, old: JobState, new: JobState) -> None:
        """Pointers and done marks move together, for exactly the partitions and buckets of one lease that ended."""
        moved = {p for p in new.pointers if old.pointers.get(p) != new.pointers[p]}
        done = {b for b in {*old.done, *new.done} if old.done.get(b, 0) != new.done.get(b, 0)}
        ended = old.leases.keys() - new.leases.keys()
        assert old.pointers.keys() <= new.pointers.keys()
        if not moved:
            self.void += len(ended)
            survivors = [lease.lease_id for lease in new.leases.values() if lease.parent in ended]
            assert not survivors, f"{survivors} survive the lease that they succeed"
            self._marks_without_a_commit_are_recorded(old, new, done)
            return
        assert len(ended) == 1, "pointers moved without the end of one lease"
        lease = old.leases[next(iter(ended))]
        assert lease.parent not in old.leases, f"{lease.lease_id} was committed before the lease that it succeeds"
        for start in lease.partitions:
            was = old.pointers.get(start.partition)
            begun = start.version and start.version.key
            if start.from_parent:
                begun = layout.partition_version(self._plan.job, start.partition, lease.parent)
            assert (was and was.key) == begun, f"{lease.lease_id} does not start from the current {start.partition}"
        self.succeeded += bool(lease.parent)
        assert moved == {start.partition for start in lease.partitions}
        assert done == set(lease.buckets)
        assert _skips(old) == _skips(new)
        assert all(new.done[bucket] == lease.epoch + 1 == old.done.get(bucket, 0) + 1 for bucket in done)
        for partition in moved:
            assert new.pointers[partition].key == layout.partition_version(self._plan.job, partition, lease.lease_id)
        self.committed += 1

    def _grants_and_renewals_are_in_order(self, old: JobState, new: JobState) -> None:
        """Only a job that runs grants leases, to no more trainers than it may have; each change counts at most one
        renewal of a lease."""
        if new.leases.keys() - old.leases.keys():
            assert old.header.status is Status.RUNNING, f"a job that is {old.header.status} granted a lease"
            at_work, most = new.trainers_at_work(), self._plan.rules.max_trainers
            assert most is None or len(at_work) <= most, f"{sorted(at_work)} are more than {most} trainers"
        for lease_id in old.beats.keys() & new.beats.keys():
            assert new.beats[lease_id].renewals - old.beats[lease_id].renewals in (0, 1), "a renewal counts as others"

    def _marks_without_a_commit_are_recorded(self, old: JobState, new: JobState, done: set[Bucket]) -> None:
        """A mark goes on by one where a skipped epoch is recorded, and back by one where the record is taken back."""
        before, after = _skips(old), _skips(new)
        was, is_now = ({bucket: state.done.get(bucket, 0) for bucket in done} for state in (old, new))
        assert {(bucket, was[bucket]) for bucket in done if is_now[bucket] > was[bucket]} == after - before
        assert {(bucket, is_now[bucket]) for bucket in done if is_now[bucket] < was[bucket]} == before - after
        ended = [old.leases[lease_id] for lease_id in old.leases.keys() - new.leases.keys()]
        skipped = {bucket for bucket, _ in after - before}
        assert all((bucket,) in {lease.buckets for lease in ended} for bucket in skipped), "skipped, but not alone"
        for lease in ended:
            if lease.lease_id in self.handed_back:
                assert not _told_failures(old, new, lease), f"the hand-back of {lease.lease_id} counts as a failure"
        self.skipped += len(after - before)
        self.lifted += len(before - after)

    def _lease_ids_are_new(self, new: JobState) -> None:
        old = self._state.leases if self._state else {}
        for lease_id in new.leases.keys() - old.keys():
            assert lease_id not in self._leases, f"the lease id {lease_id} was used twice"
            self._leases.add(lease_id)

    def deleted_now(self, key: str) -> None:
        """An object goes: nobody may need it."""
        for name, needed in self.pinned.items():
            assert key not in needed, f"{key} goes, which the pin {name} needs"
        job = self._plan.job
        if not key.startswith((layout.partitions(job), layout.parameters(job))):
            return
        self.deleted += 1
        newest = self.chain.newest
        assert newest is not None, f"{key} goes, and there is no manifest yet"
        assert all(key != needed.key for needed in named_objects(newest)), (
            f"{key} goes, which the newest manifest needs"
        )
        self.chain.require_grace(key)
        if self._state is None or self._state.header.manifest_sequence < newest.sequence:
            return  # nobody goes on from a state that is older than a manifest
        assert all(key != receipt.key for receipt in self._state.pointers.values()), f"{key} goes, which is current"
        for lease in self._state.leases.values():
            assert lease.lease_id not in key, f"{key} goes, which a live lease has stored"
            starts = [start.version.key for start in lease.partitions if start.version]
            assert key not in starts, f"{key} goes, which a live lease starts from"
        for delta in self._state.deltas.values():
            assert key != delta.receipt.key, f"{key} goes, which the parameters need"

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

    def held(self) -> dict[Partition, str]:
        """Which trainer holds which partition now."""
        leases = self._state.leases.values() if self._state else ()
        return {start.partition: lease.trainer for lease in leases for start in lease.partitions}


def _skips(state: JobState) -> set[tuple[Bucket, int]]:
    """Buckets that were given up, and in which epoch."""
    return {(bucket, epoch) for bucket, skipped in state.skipped.items() for epoch in skipped.epochs}


def _told_failures(old: JobState, new: JobState, lease: Lease) -> set[Bucket]:
    """Buckets of a lease that ended whose failures are more now, though its trainer was not silent."""
    nothing = Failures()
    pairs = {bucket: (old.failures.get(bucket, nothing), new.failures.get(bucket, nothing)) for bucket in lease.buckets}
    return {
        bucket
        for bucket, (before, after) in pairs.items()
        if len(after.trainers) > len(before.trainers) and after.silent <= before.silent
    }
