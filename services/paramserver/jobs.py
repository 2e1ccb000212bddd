"""All jobs of the server, a bounded number of them."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence

from graphbed import history
from graphbed.clients.tensors import Tensors
from graphbed.errors import InputError, JobUnsettled, PushMissing, TensorUnknown
from graphbed.graph.names import check_name
from graphbed.logs import get_logger
from graphbed.storage.receipt import Receipt
from services.paramserver.job import Deltas, ServedJob
from services.paramserver.metrics import ParamServerMetrics
from services.paramserver.objects import ParameterObjects, require_finite
from services.paramserver.rounds import Round, Rounds

log = get_logger("graphbed.paramserver")


class Jobs:
    """The verbs of the parameter server: what may be asked is checked here. Safe for concurrent threads.

    Every method raises BadName for a job or lease id that cannot be one.
    """

    def __init__(
        self, objects: ParameterObjects, metrics: ParamServerMetrics, *, server_id: str, max_jobs: int
    ) -> None:
        self._objects = objects
        self._metrics = metrics
        self._rounds = Rounds(server_id)
        self._max_jobs = max_jobs
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, ServedJob] = OrderedDict()
        """The one that was not used for longest comes first."""
        self._oldest_round = 0

    def declare(self, job: str, tensors: Tensors) -> None:
        """Take the tensors' initial values unless the job is known. Raises TensorDiffers, NotFinite."""
        require_finite(tensors, "the initial values")
        self._get_or_add(job).declare(tensors)

    def push(self, job: str, lease_id: str, sequence: int, delta: Tensors) -> None:
        """Replace the lease's delta. Raises TensorUnknown, TensorDiffers, JobUnsettled, LeaseLost, NotFinite."""
        check_name(lease_id)
        if sequence < 1:
            raise InputError(what="the sequence number of a push is 1 or more")
        require_finite(delta, f"the delta of lease {lease_id}")
        served = self._get(job)
        if served is None:
            raise TensorUnknown(name=next(iter(delta)))
        self._metrics.pushed(new=served.push(lease_id, sequence, delta), tensors=delta)
        self._count_live()

    def pull(self, job: str, names: Sequence[str]) -> Tensors:
        """Initial or base values + committed + live. Raises TensorUnknown, JobUnsettled."""
        served = self._get(job)
        if served is None:
            raise TensorUnknown(name=names[0] if names else "any")
        sums = served.pull(names)
        self._metrics.pulled(sums)
        return sums

    def seal(self, job: str, lease_id: str, sequence: int) -> Receipt:
        """Make the lease's delta durable and final. Raises PushMissing, LeaseLost, StoreUnavailable."""
        check_name(lease_id)
        served = self._get(job)
        if served is None:
            raise PushMissing(lease=lease_id)
        with history.operation("seal", job=job, lease=lease_id) as told:
            receipt = served.seal(lease_id, sequence)
            told["key"], told["sha256"] = receipt.key, receipt.sha256
        self._metrics.seals.inc()
        return receipt

    def settle(
        self,
        job: str,
        seen: Round | None,
        base: Receipt | None,
        committed: Deltas,
        live: Collection[str],
        *,
        generation: int = 0,
    ) -> Round:
        """Make the committed leases permanent and subtract the void ones; return the round to name next time.

        Changes nothing if the caller read its state before the newest settle took effect (`seen` tells), or if the
        initial values are needed and not declared yet. Raises ObjectMissing, ObjectCorrupt, StoreUnavailable, and
        SettleOld if a newer `generation` of the job's state has settled it.
        """
        _check_leases([*(lease_id for lease_id, _ in committed), *live])
        served = self._get(job) if base is None else self._get_or_add(job)
        if served is None:
            return self._rounds.issue()
        settled = served.settle(seen, base, committed, live, generation)
        self._metrics.settled(effective=settled.effective, committed=settled.committed, void=settled.void)
        self._count_live()
        if settled.committed or settled.void:
            log.info("settled", job=job, committed=settled.committed, void=settled.void, live=len(live))
        return settled.round

    def compact(self, job: str, manifest_sequence: int, base: Receipt | None, deltas: Deltas, nonce: str) -> Receipt:
        """Write `base` (or the initial values) plus `deltas` as one object, with full values.

        Raises JobUnsettled if the initial values are needed and not declared, StoreUnavailable, ObjectMissing,
        ObjectCorrupt, NotFinite.
        """
        _check_leases([lease_id for lease_id, _ in deltas])
        served = self._get(job) if base is None else self._get_or_add(job)
        if served is None:
            raise JobUnsettled(job=job)
        leases = [lease_id for lease_id, _ in deltas]
        with history.operation("compact", job=job, base=base.key if base else None, leases=leases) as told:
            receipt = served.compact(manifest_sequence, base, deltas, nonce)
            told["key"] = receipt.key
        return receipt

    def forget(self, job: str) -> None:
        """Hold nothing more of a job that was deleted."""
        check_name(job)
        with self._lock:
            self._jobs.pop(job, None)
            self._oldest_round = self._rounds.issued + 1
        log.info("a job is forgotten for good", job=job)

    def _get(self, job: str) -> ServedJob | None:
        check_name(job)
        with self._lock:
            if job in self._jobs:
                self._jobs.move_to_end(job)
            return self._jobs.get(job)

    def _get_or_add(self, job: str) -> ServedJob:
        served = self._get(job)
        if served is not None:
            return served
        with self._lock:
            served = self._jobs.setdefault(
                job, ServedJob(job, self._objects, self._rounds, oldest_round=self._oldest_round)
            )
            if len(self._jobs) > self._max_jobs:
                # As if the server had been restarted: whoever still works on it declares and pushes again.
                forgotten, _ = self._jobs.popitem(last=False)
                self._oldest_round = self._rounds.issued + 1
                log.info("a job is forgotten until it is used again", job=forgotten, max_jobs=self._max_jobs)
        return served

    def _count_live(self) -> None:
        with self._lock:
            self._metrics.live_leases.set(sum(served.live_leases for served in self._jobs.values()))


def _check_leases(lease_ids: Sequence[str]) -> None:
    for lease_id in lease_ids:
        check_name(lease_id)
