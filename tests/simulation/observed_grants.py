"""Observed grants: who may hold what, who may be given a lease, and which work is passed over."""

from collections import Counter

from graphbed.graph.partition import Bucket
from services.lockserver.plan import Plan
from services.lockserver.records import Lease
from services.lockserver.state import JobState, Status
from tests.checker.passes import Grant, Passes, most_passes, passed_over, without
from tests.simulation.world import World


class ObservedGrants:
    """The leases of one job, as its states tell of them."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._granted: set[str] = set()
        """Every lease id so far."""
        self._heard: dict[str, float] = {}
        """When each live lease was granted or renewed last."""
        self._passes: Passes[Bucket] = {}
        self._limit = most_passes(plan)
        self.most_passes = 0.0
        """How often a bucket was passed over while it was free, as a share of the times that it may be."""

    @property
    def count(self) -> int:
        """Leases granted so far."""
        return len(self._granted)

    def heard(self, lease_id: str) -> float:
        """When a live lease was granted or renewed last."""
        return self._heard[lease_id]

    def observe(self, old: JobState | None, new: JobState) -> None:
        """A job has a new state; None: it had none, or has one of a new generation."""
        before = old.leases if old else {}
        if old is None:
            self._passes = {}
        granted = new.leases.keys() - before.keys()
        if ended := before.keys() - new.leases.keys():
            committed = {record.lease_id for record in new.commits.values()}
            self._passes = without(self._passes, ended - committed)
        if granted or old is None:
            _never_share_a_partition(new)
        for lease_id in granted:
            self._is_allowed(old, new, lease_id)
        beats = old.beats if old else {}
        self._heard = {
            lease_id: self._world.now if beats.get(lease_id) != beat else self._heard[lease_id]
            for lease_id, beat in new.beats.items()
        }
        for lease_id in beats.keys() & new.beats.keys():
            assert new.beats[lease_id].renewals - beats[lease_id].renewals in (0, 1), "a renewal counts as others"

    def forget(self, state: JobState | None) -> None:
        """The state was lost, or is `state` again, an older one."""
        self._passes = {}
        self._heard = dict.fromkeys(state.beats, self._world.now) if state else {}

    def _is_allowed(self, old: JobState | None, new: JobState, lease_id: str) -> None:
        """Only a job that runs grants leases: each once, to no more trainers than it may have, to none that is drained,
        and by no server that has seen that the object store is away."""
        assert old is not None, "a generation began with leases"
        assert old.header.status is Status.RUNNING, f"a job that is {old.header.status} granted a lease"
        assert lease_id not in self._granted, f"the lease id {lease_id} was used twice"
        self._granted.add(lease_id)
        trainer = new.leases[lease_id].trainer
        assert trainer not in old.draining, f"{trainer} is drained, and was granted {lease_id}"
        at_work, most = new.trainers_at_work(), self._plan.rules.max_trainers
        assert most is None or len(at_work) <= most, f"{sorted(at_work)} are more than {most} trainers"
        server = self._world.servers_at_work[-1]
        assert not server.sees_store_away, f"{server.name} granted {lease_id}, and saw that the object store is away"
        self._starves_nothing(old, new, new.leases[lease_id])

    def _starves_nothing(self, old: JobState, new: JobState, lease: Lease) -> None:
        """No bucket that is due and free is passed over for ever (I10)."""
        epochs = new.header.num_epochs
        due = {b: new.done.get(b, 0) for b in self._plan.edges if new.done.get(b, 0) < epochs}
        held = {start.partition for other in old.leases.values() for start in other.partitions}
        grant = Grant(lease.lease_id, lease.buckets, held)
        self._passes = passed_over(self._passes, self._plan.resources, due, grant)
        for (bucket, epoch), leases in self._passes.items():
            self.most_passes = max(self.most_passes, len(leases) / self._limit)
            assert len(leases) <= self._limit, f"{bucket} was passed over {len(leases)} times in epoch {epoch}"


def _never_share_a_partition(state: JobState) -> None:
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
