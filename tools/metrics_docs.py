"""Regenerate docs/metrics.md from the declared metrics, or with --check say whether it differs."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from graphbed.rpc.build_info import publish_build_info
from graphbed.rpc.call_metrics import ClientCalls, ServerCalls
from graphbed.storage.measured import ObjectStoreMetrics
from services.lockserver.metrics import LockServerMetrics
from services.paramserver.metrics import ParamServerMetrics
from services.partitionserver.metrics import PartitionServerMetrics
from services.trainer.metrics import TrainerMetrics

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
INTRODUCTION = """# Metrics

<!-- Made by `make docs` from the services' metrics; `make lint` fails if it differs. -->

Each process serves its metrics at `/metrics` of `GRAPHBED_METRICS_LISTEN`, for Prometheus. Times are seconds, sizes are
bytes, ratios lie between 0 and 1. Labels are small closed sets: no bucket, lease, trainer or request is ever one;
which trainer it is says Prometheus' own label `instance`. `job_name` is a job of Graphbed, as `job` is a word of
Prometheus. When several lock servers run, each shows the same gauges of the jobs: take `max by (job_name)`, not `sum`.

Beside these there are the `process_…` and `python_…` metrics of Prometheus' client library. The time to a job's end is
`graphbed_lockserver_eta_seconds`; throughput is `sum(rate(graphbed_trainer_edges_total[1m]))`. The quality of a
trained model is what `graphbed eval` found last.
"""
SECTIONS: Sequence[tuple[str, Callable[[CollectorRegistry], object]]] = (
    ("Lock server", LockServerMetrics),
    ("Trainer", TrainerMetrics),
    ("Partition server", PartitionServerMetrics),
    ("Parameter server", ParamServerMetrics),
    ("Object store, in every service", ObjectStoreMetrics),
    ("gRPC, in every service", ServerCalls),
    ("gRPC, in services that call others", ClientCalls),
    ("Every service", lambda registry: publish_build_info(registry, service="")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One metric as it is declared."""

    name: str
    kind: str
    labels: tuple[str, ...]
    documentation: str


def declared(declare: Callable[[CollectorRegistry], object]) -> list[Declared]:
    """What `declare` registers, by name."""
    registry = CollectorRegistry()
    declare(registry)
    collectors: Iterable[Any] = set(registry._collector_to_names)
    found = []
    for collector in collectors:
        for family in collector.collect():
            # A metric that was never touched has no samples, but knows its labels; Info and our own know them not.
            labels = getattr(collector, "_labelnames", ()) or {
                key for sample in family.samples for key in sample.labels
            }
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            found.append(
                Declared(
                    name=family.name + suffix,
                    kind=family.type,
                    labels=tuple(label for label in sorted(labels) if label != "le"),
                    documentation=family.documentation,
                )
            )
    return sorted(found, key=lambda metric: metric.name)


def all_declared() -> list[Declared]:
    """Every metric of every service."""
    return [metric for _, declare in SECTIONS for metric in declared(declare)]


def page() -> str:
    """The whole of docs/metrics.md."""
    parts = [INTRODUCTION]
    for title, declare in SECTIONS:
        rows = [
            f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} "
            f"| {metric.documentation} |\n"
            for metric in declared(declare)
        ]
        parts.append(f"\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n{''.join(rows)}")
    return "".join(parts)


def main() -> None:
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != page():
            raise SystemExit(f"run `make docs`: {PAGE.name} differs from the services' metrics")
        return
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
