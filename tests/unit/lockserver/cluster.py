"""A lock server without its network: real parts on a directory, a manual clock, and trainers that store nothing."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from graphbed.clock import ManualClock
from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job
from graphbed.errors import ServerUnreachable
from graphbed.graph.schema import GraphSchema
from graphbed.storage import layout
from graphbed.storage.graph_document import write_graph
from graphbed.storage.objects import ObjectStore
from graphbed.storage.receipt import Receipt
from graphbed.v1 import paramserver_pb2
from services.lockserver.answers import Commitment, Granted
from services.lockserver.collector import Collector
from services.lockserver.coordinator import Coordinator
from services.lockserver.deletion import Deleter
from services.lockserver.housekeeper import Expiry
from services.lockserver.jobs import JobTable
from services.lockserver.manifests import ManifestWriter
from services.lockserver.metrics import LockServerMetrics
from services.lockserver.observer import Observer
from services.lockserver.operations import Operations
from services.lockserver.outage import Outage
from services.lockserver.settling import Parameters, Settler
from services.lockserver.state_store import MemoryStateStore, StateStore
from tests.unit.lockserver.examples import SHA256, delta_receipt, make_config, receipts

WITH_OPERATOR = [{"name": "r", "lhs": "e", "rhs": "e", "operator": "diagonal"}]

_numbers = itertools.count(1)


def next_hex() -> str:
    """Like 128 random bits: never the same twice."""
    return f"{next(_numbers):032x}"


@dataclass
class BookkeepingParameters:
    """A parameter server that keeps books of what it is told, and can be unreachable."""

    reachable: bool = True
    settled: list[tuple[Any, ...]] = field(default_factory=list)
    contents: dict[str, list[str]] = field(default_factory=dict)
    """Base object → ids of the leases whose deltas it holds."""
    forgotten: list[str] = field(default_factory=list)
    store: ObjectStore | None = None
    """Where base objects are written."""

    def settle(
        self,
        job: str,
        seen: paramserver_pb2.SettleRound | None,
        base: Receipt | None,
        committed: Sequence[tuple[str, Receipt]],
        live: Sequence[str],
        *,
        generation: int,
    ) -> paramserver_pb2.SettleRound:
        self._require_reachable()
        self.settled.append((job, seen.number if seen else None, base, [lease for lease, _ in committed], list(live)))
        return paramserver_pb2.SettleRound(server_id="s", number=len(self.settled))

    def compact(
        self, job: str, manifest_sequence: int, base: Receipt | None, deltas: Sequence[tuple[str, Receipt]]
    ) -> Receipt:
        self._require_reachable()
        key = layout.parameter_base(job, manifest_sequence, next_hex())
        self.contents[key] = [*(self.contents[base.key] if base else []), *(lease_id for lease_id, _ in deltas)]
        if self.store is not None:
            self.store.put(key, b"-")
        return Receipt(key=key, size=1, sha256=SHA256)

    def forget(self, job: str) -> None:
        self._require_reachable()
        self.forgotten.append(job)

    def _require_reachable(self) -> None:
        if not self.reachable:
            raise ServerUnreachable(service="paramserver", address="nowhere:1")


class Cluster:
    """One lock server; several may share a store and a state store."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        state: StateStore | None = None,
        clock: ManualClock | None = None,
        only_job: str | None = None,
        parameters: Parameters | None = None,
    ) -> None:
        """`parameters` takes the place of the bookkeeping ones."""
        self.store = store
        self.state = state if state is not None else MemoryStateStore()
        self.clock = clock or ManualClock()
        self.registry = CollectorRegistry()
        self.parameters = BookkeepingParameters(store=store)
        used = parameters or self.parameters
        metrics = LockServerMetrics(self.registry)
        self.jobs = JobTable(
            store=store, state=self.state, clock=self.clock, random_hex=next_hex, metrics=metrics, server="test"
        )
        self.manifests = ManifestWriter(
            jobs=self.jobs,
            store=store,
            parameters=used,
            clock=self.clock,
            random_hex=next_hex,
            metrics=metrics,
        )
        self.settler = Settler(jobs=self.jobs, parameters=used, clock=self.clock, metrics=metrics)
        self.outage = Outage(store, self.clock)
        self.coordinator = Coordinator(
            jobs=self.jobs,
            manifests=self.manifests,
            store=store,
            random_hex=next_hex,
            metrics=metrics,
            parameters_exact=self.settler.is_exact,
            store_away=self.outage.is_on,
            only_job=only_job,
        )
        self.collector = Collector(jobs=self.jobs, store=store, clock=self.clock, metrics=metrics)
        self.operations = Operations(
            jobs=self.jobs,
            manifests=self.manifests,
            collector=self.collector,
            deleter=Deleter(
                jobs=self.jobs,
                manifests=self.manifests,
                collector=self.collector,
                store=store,
                parameters=used,
            ),
        )
        self.expiry = Expiry(jobs=self.jobs, clock=self.clock, metrics=metrics)
        self.observer = Observer(jobs=self.jobs, clock=self.clock, metrics=metrics)
        self.jobs.open_all()

    def submit(self, schema: GraphSchema, **changes: Any) -> JobConfig:
        """Put the graph into the store and submit a job on it."""
        write_graph(self.store, schema)
        config = make_config(schema, **changes)
        self.coordinator.submit(dump_job(config))
        return config

    def acquire(self, trainer: str = "ann") -> Granted:
        """Work for a trainer; fails the test if there is none."""
        answer = self.coordinator.acquire(trainer=trainer, request_id=next_hex())
        assert isinstance(answer, Granted), answer
        return answer

    def commit(self, granted: Granted, *, request_id: str | None = None) -> None:
        """Store as much as a trainer would have, and commit it."""
        plan = self.jobs.context(granted.job).plan
        lease = granted.lease
        versions, delta = receipts(plan, lease), delta_receipt(plan, lease.lease_id)
        for receipt in [*(receipt for _, receipt in versions), *([delta] if delta else [])]:
            self.store.put(receipt.key, bytes(receipt.size))
        self.coordinator.commit(
            trainer=lease.trainer,
            request_id=request_id or next_hex(),
            done=Commitment(
                lease_id=lease.lease_id,
                versions=versions,
                parameters=delta,
                edges=sum(plan.edges[bucket] for bucket in lease.buckets),
                loss=1.0,
            ),
        )

    def work(self, leases: int, trainer: str = "ann") -> None:
        """Commit some leases one after another."""
        for _ in range(leases):
            self.commit(self.acquire(trainer))

    def work_to_the_end(self, trainer: str = "ann") -> None:
        """Commit leases until there is no work left."""
        for _ in range(1000):
            answer = self.coordinator.acquire(trainer=trainer, request_id=next_hex())
            if not isinstance(answer, Granted):
                return
            self.commit(answer)
        raise AssertionError("the work does not end")

    def count(self, name: str, **labels: str) -> float:
        """The value of a metric, 0 if it was never touched."""
        return self.registry.get_sample_value(f"graphbed_lockserver_{name}", labels) or 0.0
