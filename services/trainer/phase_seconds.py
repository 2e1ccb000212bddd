"""Seconds by phase, counted up to the moment of the scrape: a phase may take hours."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class PhaseSeconds(Collector):
    """A counter with the label `phase`; several phases may run at once. Safe for threads."""

    def __init__(self, name: str, documentation: str, phases: Sequence[str], *, registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self._ended = dict.fromkeys(phases, 0.0)
        self._running: dict[object, tuple[str, float]] = {}
        self._lock = threading.Lock()
        registry.register(self)

    @contextmanager
    def run(self, phase: str) -> Iterator[None]:
        """Count the time inside as time of `phase`."""
        key = object()
        started = time.perf_counter()
        with self._lock:
            self._running[key] = phase, started
        try:
            yield
        finally:
            with self._lock:
                del self._running[key]
                self._ended[phase] += time.perf_counter() - started

    def collect(self) -> Iterable[CounterMetricFamily]:
        now = time.perf_counter()
        with self._lock:
            seconds = dict(self._ended)
            for phase, started in self._running.values():
                seconds[phase] += now - started
        family = CounterMetricFamily(self._name, self._documentation, labels=["phase"])
        for phase, value in seconds.items():
            family.add_metric([phase], value)
        return [family]
