"""`graphbed bench`: how fast this machine trains, and how fast it could."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbed.cli.arguments import AsJson
from graphbed.cli.output import print_json, table
from graphbed.config.choices import Comparator, Device, Loss, Operator, Optimizer

if TYPE_CHECKING:
    import torch

    from graphbed.benchmark.floors import Floors
    from graphbed.benchmark.measure import Report
    from graphbed.benchmark.subject import Subject
    from graphbed.benchmark.workload import Workload
    from graphbed.model.kernel import Kernel

LEARNING_RATE = 0.1
"""Of synthetic data."""


def bench(
    job: Annotated[
        Path | None,
        typer.Argument(metavar="[JOB.yaml]", help="Measure this job on its ingested graph.", show_default=False),
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, max=1 << 31, help="Of the synthetic graph.")] = 1_000_000,
    edges: Annotated[int, typer.Option(min=1, max=1 << 31, help="Of the synthetic graph.")] = 2_000_000,
    relations: Annotated[int, typer.Option(min=1, max=1 << 20, help="Of the synthetic graph.")] = 1,
    dimension: Annotated[int, typer.Option(help="Numbers in one embedding.")] = 100,
    batch_negatives: Annotated[int, typer.Option(help="Same-batch negatives a side.")] = 50,
    uniform_negatives: Annotated[int, typer.Option(help="Drawn negatives a side.")] = 50,
    loss: Annotated[Loss, typer.Option()] = Loss.RANKING,
    operator: Annotated[Operator, typer.Option()] = Operator.NONE,
    comparator: Annotated[Comparator, typer.Option()] = Comparator.DOT,
    reciprocal: Annotated[bool, typer.Option("--reciprocal", help="A set of parameters for each side.")] = False,
    regularization: Annotated[float, typer.Option(help="λ of the N3 regularizer.")] = 0.0,
    optimizer: Annotated[Optimizer, typer.Option()] = Optimizer.ROW_ADAGRAD,
    threads: Annotated[int, typer.Option(min=0, max=1024, help="0 = the cores of this machine.")] = 0,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure.")] = 10.0,
    device: Annotated[Device, typer.Option(help="What is measured; on a GPU by one thread.")] = Device.CPU,
    as_json: AsJson = False,
) -> None:
    """Edges a second of a configuration, on synthetic data or of a job, by phase and against this machine's floors.

    A job decides everything but threads and seconds. The floors are measured in the same run, in turns with the kernel:
    the arithmetic alone, and the arithmetic with the bytes of the rows.
    """
    from graphbed.benchmark.measure import measure
    from graphbed.benchmark.workload import Workload
    from graphbed.model.device_kernel import open_device
    from graphbed.model.threads import single_threaded_blas

    # A GPU that is not there is refused before anything else takes time.
    prepare, used = _cpu, threads or len(os.sched_getaffinity(0))
    if device is Device.CUDA:
        prepare, used = partial(_on, open_device(device)), 1
    if job is not None:
        subject = _subject_of(job)
    else:
        subject = _synthetic(
            {
                "dimension": dimension,
                "num_batch_negs": batch_negatives,
                "num_uniform_negs": uniform_negatives,
                "loss_fn": str(loss),
                "comparator": str(comparator),
                "regularization_coef": regularization,
                "optimizer": str(optimizer),
                "lr": LEARNING_RATE,
            },
            {"operator": str(operator), "reciprocal": reciprocal},
            nodes=nodes,
            edges=edges,
            relations=relations,
        )
    workload = Workload.create(subject)
    kernel, floors = prepare(workload, used)
    with single_threaded_blas():
        report = measure(workload, kernel, floors, threads=used, seconds=seconds)
    if as_json:
        print_json({"kernel": workload.spec.name, "threads": used, **_described(subject), **asdict(report)})
    else:
        typer.echo(f"{workload.spec.name}, {used} thread{'s' if used > 1 else ''}")
        typer.echo(table(("measured", "figure"), _rows(report, used)))


def _cpu(workload: "Workload", threads: int) -> tuple["Kernel", "Floors"]:
    from graphbed.benchmark.floors import CpuFloors
    from graphbed.model.cpu_kernel import cpu_kernel

    return cpu_kernel(workload.spec), CpuFloors(workload, threads=threads)


def _on(device: "torch.device", workload: "Workload", _threads: int) -> tuple["Kernel", "Floors"]:
    from graphbed.benchmark.device_floors import DeviceFloors
    from graphbed.model.device.residency import Residency
    from graphbed.model.device_kernel import DeviceKernel

    return DeviceKernel(workload.spec, Residency(device)), DeviceFloors(workload, device)


def _synthetic(
    options: Mapping[str, Any], relation: Mapping[str, Any], *, nodes: int, edges: int, relations: int
) -> "Subject":
    """Graph S under the configuration that the options amount to. Raises BadConfig."""
    import yaml

    from graphbed.benchmark.subject import synthetic_subject
    from graphbed.config.load import parse_job

    document = {
        "job": "bench",
        "graph": "s",
        "entities": {"node": {}},
        "relations": [{"name": "*", "lhs": "node", "rhs": "node", **relation}],
        **options,
    }
    config = parse_job(yaml.safe_dump(document), source="the options")
    return synthetic_subject(config, nodes=nodes, edges=edges, relations=relations)


def _subject_of(job: Path) -> "Subject":
    from graphbed.benchmark.subject import job_subject
    from graphbed.config.load import load_job
    from graphbed.storage.address import open_store
    from graphbed.storage.graph_document import read_graph

    config = load_job(job)
    store = open_store(config.store, os.environ)
    return job_subject(store, config, read_graph(store, config.graph))


def _described(subject: "Subject") -> dict[str, Any]:
    config = subject.config
    return {
        "graph": config.graph,
        "nodes": subject.rows,
        "edges": len(subject.edges),
        "dimension": config.dimension,
        "batch_negatives": config.num_batch_negs,
        "uniform_negatives": config.num_uniform_negs,
    }


def _rows(report: "Report", threads: int) -> list[tuple[str, str]]:
    from graphbed.benchmark.measure import HEADLINE_THREADS

    low, high = report.share_of_floor_quartiles
    phase_nanoseconds = threads * 1e9 / report.edges_per_second
    return [
        ("edges/s", f"{report.edges_per_second:,.0f}"),
        ("floor: arithmetic alone, edges/s", f"{report.floor_edges_per_second:,.0f}"),
        ("share of it (quartiles)", f"{report.share_of_floor:.0%} ({low:.0%} to {high:.0%})"),
        ("share of it by processor time", f"{report.share_of_floor_by_processor_time:.0%}"),
        ("floor: arithmetic and rows, edges/s", f"{report.floor_with_bytes_edges_per_second:,.0f}"),
        ("share of it", f"{report.share_of_floor_with_bytes:.0%}"),
        ("edges/s for each core", f"{report.edges_per_second_per_core:,.0f}"),
        (
            f"extrapolated, not measured: {HEADLINE_THREADS} cores, edges/s",
            f"{report.extrapolated_edges_per_second:,.0f}",
        ),
        *(
            (f"{name}, ns an edge (share)", f"{share * phase_nanoseconds:,.0f} ({share:.0%})")
            for name, share in report.phases.items()
            if share > 0
        ),
        ("matrix products, GFLOP/s", f"{report.flops_per_second / 1e9:,.1f}"),
        ("rows gathered, a second", f"{report.gathered_rows_per_second:,.0f}"),
        ("rows added to, a second", f"{report.scattered_rows_per_second:,.0f}"),
        ("loss an edge", f"{report.loss_per_edge:.4f}"),
    ]
