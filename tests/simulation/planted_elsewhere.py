"""Planted bugs: of what is passed over, parameters, deletion, draining, and a store that is away or damaged."""

from tests.simulation.mutant import Mutant

MUTANTS = (
    Mutant(
        name="a bucket is starved by those of whatever epoch",
        file="services/lockserver/scheduler.py",
        old="np.logical_or.reduce(busy_P[needs_BR] | (oldest_P[needs_BR] < done_B[:, None]), axis=1)",
        new="""np.logical_or.reduce(busy_P[needs_BR], axis=1)
    blocked_B[1] |= bool((due_B & ~blocked_B & (needs_BR.min(axis=1) > 1)).any())""",
    ),
    Mutant(
        name="a snapshot omits a committed delta",
        file="services/lockserver/manifests.py",
        old="        base, deltas = state.header.base, state.deltas_in_order()",
        new="        base, deltas = state.header.base, state.deltas_in_order()[1:]",
    ),
    Mutant(
        name="a manifest that is noted takes a delta of later with it",
        file="services/lockserver/lifecycle.py",
        old="if n < behind and delta.receipt.key not in named)",
        new="if n <= behind and delta.receipt.key not in named)",
    ),
    Mutant(
        name="a settle leaves out a committed delta",
        file="services/lockserver/settling.py",
        old="for delta in state.deltas_in_order()]",
        new="for delta in state.deltas_in_order()[1:]]",
    ),
    Mutant(
        name="a void lease's delta is kept",
        file="services/paramserver/sums.py",
        old="if lease_id not in counted and held.first_pushed < seen",
        new="if lease_id not in counted and held.first_pushed < 0",
    ),
    Mutant(
        name="a lease that was granted after the state was read is void",
        file="services/paramserver/sums.py",
        old="if lease_id not in counted and held.first_pushed < seen",
        new="if lease_id not in counted",
    ),
    Mutant(
        name="what was sealed before a restart is forgotten",
        file="services/paramserver/job.py",
        old="found = {} if self._sums.settled else self._find_sealed(live.difference(lease_ids), permanent)",
        new="found: dict[str, Tensors] = {}",
    ),
    Mutant(
        name="leases begin while the object store is away",
        file="services/lockserver/coordinator.py",
        old="        refused += [NoWork.STORE_AWAY] if self._store_away() else []\n",
        new="",
    ),
    Mutant(
        name="successors begin while the object store is away",
        file="services/lockserver/coordinator.py",
        old="        if self._store_away():\n            refused = NoWork.STORE_AWAY\n",
        new="",
    ),
    Mutant(
        name="a drained trainer is granted leases",
        file="services/lockserver/coordinator.py",
        old="refused = [NoWork.DRAINING] if any(trainer in state.draining for _, state in found) else []",
        new="refused = list[NoWork]()",
    ),
    Mutant(
        name="a state that points to what is missing is adopted",
        file="services/lockserver/basis.py",
        old="            if not damage:",
        new="            if True:",
    ),
    Mutant(
        name="a manifest that is not whole is gone back to",
        file="services/lockserver/basis.py",
        old="            if link.manifest is None or link.damage:",
        new="            if link.manifest is None:",
    ),
    Mutant(
        name="a tombstone names what the job pointed to",
        file="services/lockserver/lifecycle.py",
        old="    return buried(manifest) if state.header.status is Status.DELETED else manifest",
        new="    return manifest",
    ),
    Mutant(
        name="deletion removes objects of a job whose name begins alike",
        file="services/lockserver/deletion.py",
        old="        sizes = self._store.sizes(layout.job(job))",
        new="        sizes = self._store.sizes(layout.job(job)[:-1])",
    ),
    Mutant(
        name="deletion removes what was pinned meanwhile",
        file="services/lockserver/deletion.py",
        old="keeps it whole.\n        self._require_unneeded(job)\n",
        new="keeps it whole.\n",
    ),
    Mutant(
        name="deletion forgets the state first",
        file="services/lockserver/deletion.py",
        old="        self._store.abort_unfinished(older_than_seconds=0.0, prefix=layout.job(job))",
        new="        self._jobs.remove(job)",
    ),
)
