"""Observed changes: what one change of a job's state may do to its pointers, marks and leases, within a generation."""

from graphbed.graph.partition import Bucket
from graphbed.storage import layout
from services.lockserver.plan import Plan
from services.lockserver.records import Failures, Lease
from services.lockserver.state import JobState
from tests.simulation.ledger import Epoch, skips


class ObservedChanges:
    """The changes of one job, and counts of them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.committed = 0
        self.succeeded = 0
        """Commits of leases that were granted before the one before them was committed."""
        self.void = 0
        """Leases that ended without a commit."""
        self.skipped = 0
        """Buckets that were given up in an epoch."""
        self.lifted = 0
        """Buckets that were made due again."""
        self.handed_back: set[str] = set()
        """Leases that their trainers hand back without a failure."""

    def observe(self, old: JobState, new: JobState) -> None:
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


def _skips(state: JobState) -> set[Epoch]:
    return skips(state.skipped.values())


def _told_failures(old: JobState, new: JobState, lease: Lease) -> set[Bucket]:
    """Buckets of a lease that ended whose failures are more now, though its trainer was not silent."""
    nothing = Failures()
    pairs = {bucket: (old.failures.get(bucket, nothing), new.failures.get(bucket, nothing)) for bucket in lease.buckets}
    return {
        bucket
        for bucket, (before, after) in pairs.items()
        if len(after.trainers) > len(before.trainers) and after.silent <= before.silent
    }
