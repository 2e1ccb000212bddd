"""A running trainer: its work in one thread, health and metrics beside it."""

import os
import signal
import threading
from functools import partial

from prometheus_client import CollectorRegistry

from graphbed.clients.lockserver import LockServerClient
from graphbed.clients.parameters import ParameterClient
from graphbed.clients.partitions import PartitionClient
from graphbed.clock import Clock
from graphbed.errors import GraphbedError
from graphbed.logs import bound, get_logger
from graphbed.rpc.call_metrics import ClientCalls
from graphbed.rpc.server import RunningServer, start_server
from graphbed.storage.measured import MeasuredStore, ObjectStoreMetrics
from graphbed.storage.objects import ObjectStore
from graphbed.storage.probe import require_answer
from graphbed.tracing import Span, no_span
from services.trainer.fetcher import Fetcher
from services.trainer.hand import Hand
from services.trainer.jobs import Jobs
from services.trainer.metrics import TrainerMetrics
from services.trainer.pipeline import Pipeline
from services.trainer.runner import Runner
from services.trainer.settings import TrainerSettings
from services.trainer.storer import Storer
from services.trainer.trainer import Trainer

log = get_logger()

_LOOK_AT_PARENT_SECONDS = 1.0
_LOOK_AT_WORK_SECONDS = 0.05
_RELEASE_SECONDS = 5.0
"""What a release may take."""


class RunningTrainer:
    """A trainer at work; ends the process by SIGTERM to itself when it gives up, is drained, or its parent is gone."""

    def __init__(
        self,
        settings: TrainerSettings,
        *,
        trainer: Trainer,
        server: RunningServer,
        locks: LockServerClient,
        parameters: ParameterClient,
        partitions: PartitionClient,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._trainer = trainer
        self._server = server
        self._locks = locks
        self._parameters = parameters
        self._partitions = partitions
        self._clock = clock
        self._stopping = stopping
        self.failure: GraphbedError | None = None
        """Why it gave up, if it did."""
        # A thread that does not end in time must not keep the process: its lease ends by itself.
        self._thread = threading.Thread(target=self._work, name="trainer", daemon=True)
        self._thread.start()
        if settings.parent_pid is not None:
            threading.Thread(target=self._watch_parent, args=(settings.parent_pid,), daemon=True).start()

    @property
    def address(self) -> str:
        return self._server.address

    @property
    def metrics_address(self) -> str | None:
        return self._server.metrics_address

    def stop(self, grace_seconds: float) -> None:
        """Commit what is trained if it can be stored in time, hand back everything else at once, then end.

        A last part of `grace_seconds` is kept for handing back what could not be stored.
        """
        end = self._clock.monotonic() + grace_seconds
        last_moment = end - min(grace_seconds / 4, _RELEASE_SECONDS)
        self._server.set_serving(False)
        self._stopping.set()
        while self._trainer.finishing and self._thread.is_alive() and self._clock.monotonic() < last_moment:
            self._thread.join(_LOOK_AT_WORK_SECONDS)
        self._trainer.hand_back()
        # The work may wait for one of their servers; it ends with the connection.
        self._parameters.close()
        self._partitions.close()
        self._thread.join(max(end - self._clock.monotonic(), 0.0))
        self._server.stop(1.0)
        if self._thread.is_alive():
            log.warning("the work did not end in time", grace_seconds=grace_seconds)
            return
        self._locks.close()

    def _work(self) -> None:
        try:
            with bound(trainer=self._settings.trainer_id):
                self._trainer.run()
        except Exception as error:
            self.failure = error if isinstance(error, GraphbedError) else GraphbedError(what=str(error))
            log.error("trainer gives up", error=str(error), exc_info=not isinstance(error, GraphbedError))
        if not self._stopping.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    def _watch_parent(self, parent_pid: int) -> None:
        while not self._stopping.wait(_LOOK_AT_PARENT_SECONDS):
            if os.getppid() != parent_pid:
                log.warning("the parent process is gone", parent=parent_pid)
                os.kill(os.getpid(), signal.SIGTERM)
                return


def start_trainer(
    settings: TrainerSettings,
    *,
    store: ObjectStore,
    clock: Clock,
    registry: CollectorRegistry,
    span: Span = no_span,
) -> RunningTrainer:
    """Connect to the three servers and start to work; `span` traces each lease and its phases.

    Raises InputError if an address cannot be used, StoreUnavailable or StoreDenied if the store does not answer.
    """
    store = MeasuredStore(store, ObjectStoreMetrics(registry))
    require_answer(store)
    metrics = TrainerMetrics(registry)
    stopping = threading.Event()
    calls = ClientCalls(registry)
    locks = LockServerClient(settings.lockserver, calls=calls)
    parameters = ParameterClient(settings.paramserver, calls=calls)
    partitions = PartitionClient(settings.partitionservers, calls=calls)
    server = start_server(
        service_name="graphbed.v1.Trainer",
        register=lambda _: None,
        listen=settings.listen,
        metrics_listen=settings.metrics_listen,
        registry=registry,
    )
    hand = Hand(trainer_id=settings.trainer_id, locks=locks, clock=clock, metrics=metrics, stopping=stopping, span=span)
    pipeline = Pipeline(
        trainer_id=settings.trainer_id,
        locks=locks,
        jobs=Jobs(locks, parameters, store),
        parameters=parameters,
        fetcher=Fetcher(partitions, store, metrics),
        runner=Runner(threads=settings.threads, device=settings.device, clock=clock, metrics=metrics),
        storer=Storer(partitions, metrics),
        hand=hand,
        clock=clock,
        metrics=metrics,
        stopping=stopping,
        store_answers=partial(require_answer, store),
    )
    trainer = Trainer(
        trainer_id=settings.trainer_id,
        locks=locks,
        pipeline=pipeline,
        clock=clock,
        metrics=metrics,
        stopping=stopping,
        store_answers=partial(require_answer, store),
        reachable=server.set_serving,
        give_up_after=settings.give_up_after,
    )
    return RunningTrainer(
        settings,
        trainer=trainer,
        server=server,
        locks=locks,
        parameters=parameters,
        partitions=partitions,
        clock=clock,
        stopping=stopping,
    )
