"""Loss per edge of the compiled kernel and of the reference after each epoch on a small graph S.

    python benchmarks/loss.py [--nodes 20000] [--edges 200000] [--out benchmarks/results/loss.json]

The reference goes through the chunks in order, as the compiled kernel does with one thread; with as many threads as
there are cores, each has a part of them. What is in the file for a graph of the same size is not measured again.
"""

import os

# torch's threads inside an operation wait for one another by spinning.
os.environ.update({"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})

import argparse
import json
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from graphbed.benchmark.subject import Subject, synthetic_subject
from graphbed.benchmark.workload import Workload
from graphbed.config.job import JobConfig
from graphbed.model.cpu_kernel import cpu_kernel
from graphbed.model.edges import order_edges
from graphbed.model.kernel import Control, EdgeSlice, Kernel
from graphbed.model.reference_kernel import reference_kernel
from graphbed.model.threads import single_threaded_blas

RESULTS = Path(__file__).parent / "results" / "loss.json"
EPOCHS = 3


def train_part(kernel: Kernel, work: Workload, edges: EdgeSlice, control: Control, seed: int) -> None:
    kernel.train_slice(
        edges, lhs=work.lhs, rhs=work.rhs, parameters=work.parameters, hyper=work.hyper, control=control, seed=seed
    )


def losses(subject: Subject, kernel: Kernel, threads: int) -> list[float]:
    """Loss per edge of each epoch, every epoch shuffled anew."""
    work, told = Workload.create(subject), []
    for epoch in range(EPOCHS):
        work = replace(work, edges=order_edges(subject.edges, work.spec, work.hyper, seed=epoch))
        cuts = np.linspace(0, work.edges.chunks, threads + 1).astype(int).tolist()
        controls = [Control.create() for _ in range(threads)]

        workers = [
            threading.Thread(target=train_part, args=(kernel, work, work.edges.part(first, stop), control, epoch))
            for (first, stop), control in zip(pairwise(cuts), controls, strict=True)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        told.append(sum(float(control.loss[0]) for control in controls) / work.edges.edges)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=20_000)
    parser.add_argument("--edges", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    config = JobConfig.model_validate(
        {
            "job": "loss",
            "graph": "s",
            "entities": {"node": {}},
            "relations": [{"name": "*", "lhs": "node", "rhs": "node"}],
            "dimension": 100,
            "comparator": "dot",
            "lr": 0.1,
        }
    )
    subject = synthetic_subject(config, nodes=options.nodes, edges=options.edges, relations=1)
    spec, threads = Workload.create(subject).spec, len(os.sched_getaffinity(0))
    size = {"nodes": options.nodes, "edges": options.edges}
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    result = found if size.items() <= found.items() else dict[str, Any](size)
    kernels = {
        "reference": (reference_kernel, 1),
        "compiled, 1 thread": (cpu_kernel, 1),
        f"compiled, {threads} threads": (cpu_kernel, threads),
    }
    with single_threaded_blas():
        for name, (kernel, many) in kernels.items():
            if name not in result:
                result[name] = {"loss_per_edge": losses(subject, kernel(spec), many)}
                pairs = zip(result[name]["loss_per_edge"], result["reference"]["loss_per_edge"], strict=True)
                result[name]["difference"] = [one / other - 1 for one, other in pairs]
                options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
