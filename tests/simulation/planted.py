"""Planted bugs: of leases, commits, manifests, generations and garbage."""

from tests.simulation.mutant import Mutant

MUTANTS = (
    Mutant(
        name="anybody may renew, release and commit a lease",
        file="services/lockserver/transitions.py",
        old="if lease is None or lease.trainer != trainer:",
        new="if lease is None:",
    ),
    Mutant(
        name="the state store does not compare the tag",
        file="services/lockserver/state_store.py",
        old="if tag != expected_tag or job not in self._jobs:",
        new="if job not in self._jobs:",
    ),
    Mutant(
        name="a commit moves pointers without marking its buckets",
        file="services/lockserver/transitions.py",
        old="        done=done,\n        leases={lease_id: None},",
        new="        done={},\n        leases={lease_id: None},",
    ),
    Mutant(
        name="a commit marks its buckets without moving pointers",
        file="services/lockserver/transitions.py",
        old="        pointers=pointers,\n        done=done,",
        new="        pointers={},\n        done=done,",
    ),
    Mutant(
        name="a commit's pointers and its done marks are two writes",
        file="services/lockserver/live_states.py",
        old="            applied = self._state.apply(job, held.tag, tag, fields.written, fields.removed)",
        new="""            first = {name: text for name, text in fields.written.items() if name.startswith("pointers:")}
            applied = not first or self._state.apply(job, held.tag, tag + "-", first, set())
            before = tag + "-" if first else held.tag
            applied = applied and self._state.apply(job, before, tag, fields.written, fields.removed)""",
    ),
    Mutant(
        name="the tag is a counter",
        file="services/lockserver/live_states.py",
        old="        tag = self._random_hex()",
        new="""        tag = f"{int(held.tag, 16) + 1:032x}\"""",
    ),
    Mutant(
        name="a commit leaves its lease alive",
        file="services/lockserver/transitions.py",
        old="        done=done,\n        leases={lease_id: None},\n        beats={lease_id: None},",
        new="        done=done,\n        leases={},\n        beats={},",
    ),
    Mutant(
        name="the reply to acquire is not stored",
        file="services/lockserver/transitions.py",
        old="        beats={lease.lease_id: Beat()},\n        trainers=trainers,",
        new="        beats={lease.lease_id: Beat()},\n        trainers={},",
    ),
    Mutant(
        name="partitions of other leases are not busy",
        file="services/lockserver/scheduler.py",
        old="busy_P = plan.arrays.among(board.busy)",
        new="busy_P = plan.arrays.among(())",
    ),
    Mutant(
        name="the commit log forgets a commit's number",
        file="services/lockserver/transitions.py",
        old="        next_commit=number + 1,",
        new="        next_commit=number,",
    ),
    Mutant(
        name="the parameter delta of a commit is not kept",
        file="services/lockserver/transitions.py",
        old="deltas={number: SealedDelta(lease_id=lease_id, receipt=parameters)} if parameters else {},",
        new="deltas={},",
    ),
    Mutant(
        name="a manifest overwrites the one that is there",
        file="graphbed/storage/manifest.py",
        old="store.create(layout.manifest(manifest.job, manifest.sequence), manifest.to_json())",
        new="store.put(layout.manifest(manifest.job, manifest.sequence), manifest.to_json())",
    ),
    Mutant(
        name="a manifest that is noted keeps its commits in the log",
        file="services/lockserver/lifecycle.py",
        old="        commits=dict.fromkeys(range(first, behind)),",
        new="        commits={},",
    ),
    Mutant(
        name="a restored state begins without the pointers of its manifest",
        file="services/lockserver/lifecycle.py",
        old="pointers={pointer.partition: pointer.version.to_receipt() for pointer in manifest.pointers},",
        new="pointers={},",
    ),
    Mutant(
        name="what live leases have stored is garbage",
        file="services/lockserver/garbage.py",
        old="or key in in_use.names or layout.lease_of(key) in in_use.leases",
        new="or key in in_use.names",
    ),
    Mutant(
        name="a version goes as soon as one later manifest does without it",
        file="services/lockserver/garbage.py",
        old="GRACE_MANIFESTS = 2",
        new="GRACE_MANIFESTS = 1",
    ),
    Mutant(
        name="a version goes before any later manifest does without it",
        file="services/lockserver/garbage.py",
        old="GRACE_MANIFESTS = 2",
        new="GRACE_MANIFESTS = 0",
    ),
    Mutant(
        name="garbage goes though another generation has begun",
        file="services/lockserver/survey.py",
        old="        self._jobs.confirm(job, survey.generation)\n",
        new="",
    ),
    Mutant(
        name="garbage goes though it was pinned meanwhile",
        file="services/lockserver/collector.py",
        old="going = [key for key in batch if key not in needed]",
        new="going = list(batch)",
    ),
    Mutant(
        name="manifests go uncondemned",
        file="services/lockserver/collector.py",
        old="            condemn(self._store, job, sequence)",
        new="            pass",
    ),
    Mutant(
        name="a manifest is written though another generation has begun",
        file="services/lockserver/manifests.py",
        old="        self._jobs.confirm(job, manifest.generation)\n",
        new="",
    ),
    Mutant(
        name="leases never expire",
        file="services/lockserver/watch.py",
        old="if seconds >= lease.patience_seconds:",
        new="if seconds >= 1e9:",
    ),
    Mutant(
        name="a hand-back counts as a failure",
        file="services/lockserver/transitions.py",
        old="if failure else ended_in_peace(now, lease))",
        new="or ended_in_peace(now, lease))",
    ),
    Mutant(
        name="a bucket is skipped and nothing says so",
        file="services/lockserver/failures.py",
        old="        skipped={bucket: skipped},",
        new="        skipped={},",
    ),
    Mutant(
        name="a generation goes on from a state that is older than the newest manifest",
        file="services/lockserver/generations.py",
        old="    except ManifestForeign:\n        return None",
        new="    except ManifestForeign:\n        return state",
    ),
    Mutant(
        name="a generation begins with the leases of the one before",
        file="services/lockserver/generations.py",
        old="        leases={},\n        beats={},\n",
        new="",
    ),
    Mutant(
        name="a successor is committed before its parent",
        file="services/lockserver/transitions.py",
        old="    if lease.parent in state.leases:",
        new="    if lease.parent == lease_id:",
    ),
    Mutant(
        name="a successor survives its parent",
        file="services/lockserver/failures.py",
        old="if lease_id in over or lease.parent in over",
        new="if lease_id in over",
    ),
    Mutant(
        name="a restore goes on in a generation that has begun",
        file="services/lockserver/takeover.py",
        old=" or claim.number == begun",
        new="",
    ),
    Mutant(
        name="a lease of many buckets condemns one of them",
        file="services/lockserver/failures.py",
        old="    if len(lease.buckets) > 1 or failures is None",
        new="    if failures is None",
    ),
)
