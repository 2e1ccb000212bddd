"""`graphbed plan`: what a job will need, and whether it can run at all."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from graphbed.cli.arguments import AsJson, JobFile
from graphbed.cli.output import print_json, table

if TYPE_CHECKING:
    from graphbed.config.job import JobConfig
    from services.standalone.sizing import Sizing

KERNEL_SHARE = 0.45
"""Of the rate of matrix products: about what the kernels reach, see docs/performance.md."""
MEASURED_SECONDS = 0.2


def plan(
    job: JobFile,
    trainers: Annotated[int, typer.Option(min=1, max=128, help="Trainers that will work at once.")] = 1,
    threads: Annotated[int, typer.Option(min=0, max=1024, help="Threads of each; 0 = the cores of this machine.")] = 0,
    edges_per_second: Annotated[
        float, typer.Option(min=0, help="Of one trainer; 0 = estimated from this machine's matrix products.")
    ] = 0,
    megabytes_per_second: Annotated[
        float, typer.Option(min=0.001, help="Between one trainer and the partition servers.")
    ] = 200,
    as_json: AsJson = False,
) -> None:
    """Memory, traffic, time and store size of a job whose graph is ingested; fails if a lease cannot fit in memory."""
    from graphbed.config.load import load_job
    from graphbed.storage.address import open_store
    from graphbed.storage.graph_document import read_graph
    from services.standalone.sizing import size_job
    from services.trainer.memory import available_bytes, require_memory

    config = load_job(job)
    schema = read_graph(open_store(config.store, os.environ), config.graph)
    speed = edges_per_second or _estimated_speed(config, threads or len(os.sched_getaffinity(0)))
    sizing = size_job(
        config, schema, trainers=trainers, edges_per_second=speed, bytes_per_second=megabytes_per_second * 1e6
    )
    limit = config.trainer.memory_limit_bytes or available_bytes()
    if as_json:
        print_json({**asdict(sizing), "memory_limit_bytes": limit, "fits": sizing.lease_bytes <= limit})
    else:
        typer.echo(table(("needed", "figure"), _rows(sizing, limit)))
    require_memory(sizing.lease_bytes, limit)


def _estimated_speed(config: "JobConfig", threads: int) -> float:
    """Edges per second: KERNEL_SHARE of what the matrix products of one thread reach, times the threads."""
    from graphbed.benchmark.floors import MatrixProducts, edge_operations
    from graphbed.model.threads import single_threaded_blas

    with single_threaded_blas():
        rate = MatrixProducts(threads=1).measured(MEASURED_SECONDS).per_second
    negatives = config.num_batch_negs + config.num_uniform_negs
    return KERNEL_SHARE * threads * rate / edge_operations(sides=2, negatives=negatives, dimension=config.dimension)


def _rows(sizing: "Sizing", limit: int) -> list[tuple[str, str]]:
    return [
        ("entities", f"{sizing.entities:,}"),
        ("edges an epoch", f"{sizing.edges:,}"),
        ("table with optimizer state", _size(sizing.table_bytes)),
        ("memory of one trainer", f"{_size(sizing.lease_bytes)} of {_size(limit)}"),
        ("parameters", _size(sizing.parameter_bytes)),
        ("leases an epoch", f"{sizing.leases:,}"),
        ("trainers at work", f"{sizing.trainers} of at most {sizing.most_trainers}"),
        ("fetched an epoch, and stored", _size(sizing.epoch_bytes)),
        ("object store, without the graph", _size(sizing.store_bytes)),
        ("edges/s of one trainer", f"{sizing.edges_per_second:,.0f}"),
        ("one epoch", _duration(sizing.epoch_seconds)),
        ("the job", _duration(sizing.job_seconds)),
        ("grace period of a trainer", _duration(sizing.grace_seconds)),
    ]


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
