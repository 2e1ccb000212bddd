"""Takeover: beginning a generation. Claim its number, write its first manifest, put its state in place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphbed import history, logs
from graphbed.clock import Clock
from graphbed.errors import GenerationContended, JobUnknown
from graphbed.storage.chain import Link
from graphbed.storage.generation import Generation, claim_generation, newest_generation
from graphbed.storage.manifest import Manifest, create_manifest
from graphbed.storage.objects import ObjectStore
from services.lockserver import chronicle
from services.lockserver.basis import Basis, BasisFinder
from services.lockserver.codec import decode, encode
from services.lockserver.context import JobContext
from services.lockserver.generations import Reason, adopted, commits_lost, entered
from services.lockserver.lifecycle import next_manifest, restored
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.state import Delta, JobState
from services.lockserver.state_store import StateStore

ATTEMPTS = 20
"""How many changes by others may come between."""

log = logs.get_logger("graphbed.lockserver")


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the state store holds of a job: nothing, or fields under a tag."""

    tag: str | None
    fields: dict[str, str]
    state: JobState | None


class Takeover:
    """Begins generations. The caller sees to it that one thread at a time does so for a job."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        state: StateStore,
        clock: Clock,
        random_hex: Callable[[], str],
        metrics: LockServerMetrics,
        server: str,
    ) -> None:
        """`server` names this lock server, for people."""
        self._store = store
        self._state = state
        self._clock = clock
        self._random_hex = random_hex
        self._metrics = metrics
        self._server = server
        self._finder = BasisFinder(store, state_address=state.address)
        self._unfinished: dict[str, Generation] = {}

    def unfinished(self, job: str) -> int | None:
        """The generation that this server has claimed and could not finish, if there is one."""
        claim = self._unfinished.get(job)
        return claim.number if claim else None

    def begin(
        self,
        context: JobContext,
        reason: Reason,
        *,
        identity: str,
        remembered: JobState | None,
        sequence: int | None = None,
    ) -> Manifest:
        """Begin the job's next generation in the state store `identity`; return its first manifest. Leases are void.

        It goes on from manifest `sequence` if that is given, else from what BasisFinder finds. `remembered` is the
        state as this server knew it last. Raises what the finder raises, GenerationContended, StateTooNew,
        StateCorrupt.
        """
        job = context.config.job
        for _ in range(ATTEMPTS):
            stored = self._read(job)
            basis = self._finder.find(context, stored.state, sequence)
            claim = self._claim(job, reason, identity, stored.state)
            if not basis.is_adopted:
                # Until the claim, another server may have collected what an older manifest names; it stops at that.
                basis = self._finder.find(context, stored.state, sequence)
            manifest = self._first_manifest(context, claim, basis)
            # A newer generation's manifest may have been missed by the look for the newest one.
            if newest_generation(self._store, job) != claim.number:
                raise GenerationContended(job=job)
            with history.operation("manifest", job=job) as told:
                found, sha256 = create_manifest(self._store, manifest)
                told |= chronicle.facts_of(found, own=found.nonce == manifest.nonce)
            if found.nonce == manifest.nonce:
                break
            if found.generation > claim.number:
                raise GenerationContended(job=job)
            # A server of an older generation was in the middle of writing; its manifest counts.
        else:
            raise GenerationContended(job=job)
        after = self._install(context, stored, basis, found, sha256, identity=identity)
        del self._unfinished[job]
        known = [state for state in (remembered, stored.state) if state is not None]
        self._tell(claim, found, basis, known, after)
        return found

    def _claim(self, job: str, reason: Reason, identity: str, state: JobState | None) -> Generation:
        """Take the next number, or go on with one that was taken before. Raises GenerationContended."""
        newest = newest_generation(self._store, job)
        claim = self._unfinished.get(job)
        # A state of that number is there already if only the answer to its installation was lost.
        begun = state.header.generation if state is not None else 0
        if claim is None or claim.number < newest or claim.number == begun or claim.state_identity != identity:
            claim = self._unfinished[job] = Generation(
                job=job,
                number=newest + 1,
                nonce=self._random_hex(),
                server=self._server,
                reason=reason.value,
                state_identity=identity,
                claimed_at=self._clock.wall(),
            )
        # Kept before it is tried: if the answer gets lost, the next try finds its own nonce.
        if not claim_generation(self._store, claim):
            del self._unfinished[job]
            raise GenerationContended(job=job)
        return claim

    def _first_manifest(self, context: JobContext, claim: Generation, basis: Basis) -> Manifest:
        state = entered(basis.state, generation=claim.number, identity=claim.state_identity)
        manifest = next_manifest(
            state,
            context.plan,
            base=state.header.base,
            deltas=state.deltas_in_order(),
            nonce=self._random_hex(),
            written_at=self._clock.wall(),
        )
        if basis.newest == state.header.manifest_sequence:
            return manifest
        skipping = {"sequence": basis.newest + 1, "parent_sequence": state.header.manifest_sequence}
        return manifest.model_copy(update=skipping)

    def _install(
        self, context: JobContext, stored: _Stored, basis: Basis, manifest: Manifest, sha256: str, *, identity: str
    ) -> JobState:
        """Put the generation's state in place, with what was committed meanwhile if the state is adopted."""
        job = context.config.job
        from_manifest = restored(context.plan, manifest, sha256, num_epochs=context.config.num_epochs)
        candidate = basis.state if basis.is_adopted else None
        for _ in range(ATTEMPTS):
            noted = candidate and adopted(candidate, Link(manifest.sequence, manifest, sha256, ""))
            state = entered(noted or from_manifest, generation=manifest.generation, identity=identity)
            if self._replace(job, stored, state, follows=noted is not None):
                return state
            stored = self._read(job)
            candidate = stored.state if basis.is_adopted else None
            if stored.state is not None and stored.state.header.generation >= manifest.generation:
                if _is_behind(stored.state, manifest):
                    raise GenerationContended(job=job)
                return stored.state
        raise GenerationContended(job=job)

    def _replace(self, job: str, stored: _Stored, state: JobState, *, follows: bool) -> bool:
        """Put `state` in the place of what is stored; False if that is not there any more. `follows`: it goes on."""
        fields, tag = encode(state.as_delta()).written, self._random_hex()
        if follows and stored.tag is not None and stored.state is not None:
            ended = Delta(header=state.header, leases=dict.fromkeys(stored.state.leases))
            chronicle.tell(job, stored.tag, tag, ended, stored.state)
        else:
            chronicle.tell(job, "", tag, state.as_delta(), None)
        if stored.tag is None:
            with self._metrics.state_call("create"):
                done = self._state.create(job, tag, fields)
        else:
            changed = {name: text for name, text in fields.items() if stored.fields.get(name) != text}
            with self._metrics.state_call("apply"):
                done = self._state.apply(job, stored.tag, tag, changed, stored.fields.keys() - fields.keys())
        chronicle.tell_end(job, tag, done=done)
        return done

    def _read(self, job: str) -> _Stored:
        try:
            with self._metrics.state_call("read"):
                tag, fields = self._state.read(job)
        except JobUnknown:
            return _Stored(None, {}, None)
        return _Stored(tag, fields, decode(fields, job=job, address=self._state.address))

    def _tell(
        self, claim: Generation, manifest: Manifest, basis: Basis, known: Sequence[JobState], after: JobState
    ) -> None:
        """Say what happened, and what it cost as far as this server knows."""
        for link in basis.passed_over:
            self._metrics.manifests_damaged.inc()
            log.error("manifest passed over", job=claim.job, manifest=link.sequence, damage=link.damage)
        # A memory that is older still knows as unwritten what manifests have told since.
        known = [state for state in known if state.header.manifest_sequence >= basis.newest - 1]
        told = [*basis.told, *(record.lease_id for record in manifest.commits)]
        lost = commits_lost(known, after, told)
        void = len({lease_id for state in known for lease_id in state.leases})
        self._metrics.generations.labels(claim.reason).inc()
        self._metrics.generation_leases_void.inc(void)
        self._metrics.generation_commits_lost.inc(lost)
        tell = log.info if claim.reason == Reason.NEW.value else log.warning
        tell(
            "generation begun",
            job=claim.job,
            generation=claim.number,
            reason=claim.reason,
            manifest=manifest.sequence,
            follows=manifest.parent,
            state="kept" if basis.is_adopted else "from the manifest",
            commits_lost=lost,
            leases_void=void,
        )


def _is_behind(state: JobState, manifest: Manifest) -> bool:
    """Whether an earlier try to begin this generation was carried out late, without this manifest."""
    header = state.header
    return header.generation == manifest.generation and header.manifest_sequence < manifest.sequence
