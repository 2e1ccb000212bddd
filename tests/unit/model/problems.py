"""Tiny training problems with repeated entities, and the uncompiled CPU kernel."""

import itertools
from dataclasses import dataclass, replace
from types import FunctionType

import numpy as np

from graphbed.config.choices import Comparator, Loss, Operator, Optimizer
from graphbed.graph.edges import EdgeArrays
from graphbed.model.cpu import intrinsics, source, workspace
from graphbed.model.cpu_kernel import CpuKernel
from graphbed.model.kernel import (
    Control,
    EdgeSlice,
    GroupParameters,
    Hyper,
    Kernel,
    KernelSpec,
    SideParameters,
    Table,
)
from graphbed.model.known import known_edges

SEED = 11


def all_specs(optimizer: Optimizer = Optimizer.ROW_ADAGRAD) -> list[KernelSpec]:
    return [
        KernelSpec(operator=operator, comparator=comparator, loss=loss, reciprocal=reciprocal, optimizer=optimizer)
        for operator, comparator, loss, reciprocal in itertools.product(Operator, Comparator, Loss, (False, True))
    ]


def uncompiled(spec: KernelSpec) -> Kernel:
    """The CPU kernel's own functions, run by Python."""

    def as_it_is(function: FunctionType) -> FunctionType:
        return function

    namespace: dict[str, object] = {"np": np, "compiled": as_it_is, **vars(intrinsics), **vars(workspace)}
    exec(source.body(spec), namespace)
    return CpuKernel(spec, namespace["train_chunks"])  # type: ignore[arg-type]


@dataclass
class Problem:
    """Arguments of `train_slice`."""

    edges: EdgeSlice
    lhs: Table
    rhs: Table
    parameters: GroupParameters
    hyper: Hyper

    def train(self, kernel: Kernel, *, seed: int = SEED) -> Control:
        control = Control.create()
        with np.errstate(over="ignore", invalid="ignore"):
            kernel.train_slice(
                self.edges,
                lhs=self.lhs,
                rhs=self.rhs,
                parameters=self.parameters,
                hyper=self.hyper,
                control=control,
                seed=seed,
            )
        return control

    def arrays(self) -> dict[str, np.ndarray]:
        pairs = {"lhs": self.lhs.embeddings, "rhs": self.rhs.embeddings}
        pairs |= {"lhs_theta": self.parameters.lhs.values, "rhs_theta": self.parameters.rhs.values}
        if self.parameters.lhs_global is not None and self.parameters.rhs_global is not None:
            pairs |= {"lhs_shared": self.parameters.lhs_global.values, "rhs_shared": self.parameters.rhs_global.values}
        return pairs

    def sums(self) -> dict[str, np.ndarray]:
        sums = {
            "lhs": self.lhs.sums,
            "rhs": self.rhs.sums,
            "lhs_theta": self.parameters.lhs.sums,
            "rhs_theta": self.parameters.rhs.sums,
        }
        if self.parameters.lhs_global is not None and self.parameters.rhs_global is not None:
            sums |= {"lhs_shared": self.parameters.lhs_global.sums, "rhs_shared": self.parameters.rhs_global.sums}
        return sums


def problem(
    spec: KernelSpec,
    *,
    chunks: tuple[int, ...] = (4,),
    batch: int = 4,
    uniform: int = 3,
    dimension: int = 4,
    one_table: bool = True,
    rows: int = 6,
    seed: int = 0,
    shared: bool = False,
    read_only: int = 0,
    known: bool = False,
    **hyper: object,
) -> Problem:
    """Edges among few entities, so that duplicates and own entities among the candidates are common."""
    generator = np.random.default_rng(seed)

    def floats(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    def table(count: int) -> Table:
        columns = spec.optimizer.columns(dimension)
        return Table(
            embeddings=floats(count + read_only, dimension),
            sums=np.ones((count + read_only, columns), np.float32),
            read_only_rows=read_only,
        )

    def side(relations: int) -> SideParameters:
        width = spec.operator.width(dimension)
        return SideParameters(values=floats(relations, width), sums=np.ones((relations, width), np.float32))

    def vector() -> SideParameters:
        return SideParameters(values=floats(1, dimension), sums=np.ones((1, dimension), np.float32))

    relations = 0 if spec.operator is Operator.NONE else 3
    lhs = table(rows)
    rhs = lhs if one_table else table(rows + 1)
    count = sum(chunks)
    relation_rows = (
        generator.integers(0, 3, count) if spec.reciprocal else np.repeat(generator.integers(0, 3, len(chunks)), chunks)
    )
    edges = EdgeSlice(
        lhs_rows=generator.integers(0, lhs.trainable_rows, count),
        relation_rows=relation_rows.astype(np.int32),
        rhs_rows=generator.integers(0, rhs.trainable_rows, count),
        weight=generator.uniform(0.5, 2, count).astype(np.float32),
        chunk_starts=np.concatenate([[0], np.cumsum(chunks)]).astype(np.int64),
    )
    if known:
        arrays = EdgeArrays.unweighted(edges.lhs_rows, edges.relation_rows, edges.rhs_rows)
        edges = replace(edges, known=known_edges(arrays, None))
    parameters = GroupParameters(rhs=side(relations), lhs=side(relations if spec.reciprocal else 0))
    if shared:
        lhs_global = vector()
        parameters = replace(parameters, lhs_global=lhs_global, rhs_global=lhs_global if one_table else vector())
    return Problem(
        edges=edges,
        lhs=lhs,
        rhs=rhs,
        parameters=parameters,
        hyper=Hyper(
            **{  # type: ignore[arg-type]
                "lr": 0.5,
                "relation_lr": 0.25,
                "margin": 0.3,
                "regularization": 0.0,
                "batch_negatives": batch,
                "uniform_negatives": uniform,
            }
            | hyper
        ),
    )
