"""`graphbed eval`: how well a checkpoint ranks the true entities of a split."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphbed.cli.arguments import AsJson, JobFile
from graphbed.cli.output import print_json, progress_bar, table
from graphbed.cli.trained import Trained, open_trained
from graphbed.clock import SystemClock
from graphbed.errors import InputError, StoreDenied, StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from graphbed.evaluation.metrics import Evaluation, RankMetrics


def evaluate(
    job: JobFile,
    split: Annotated[str, typer.Option(help="The edges to rank.")] = "test",
    filtered: Annotated[
        bool, typer.Option("--filtered/--raw", help="Leave other known true entities out of the candidates, or not.")
    ] = True,
    per_relation: Annotated[bool, typer.Option("--per-relation", help="Also by relation.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Also write the JSON document to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank the true entity of both sides of every edge among all entities of its type."""
    from graphbed.evaluation.evaluate import evaluate as run_evaluation

    with open_trained(job, os.environ) as trained, progress_bar() as watch:
        evaluation = run_evaluation(
            trained.store,
            trained.checkpoint,
            split,
            filtered=filtered,
            per_relation=per_relation,
            clock=SystemClock(),
            watch=lambda done, total: watch("ranking", done, total),
        )
        # Before the reader lets go of the checkpoint, so that the best one is kept without a gap.
        _keep(trained, evaluation)
    if output is not None:
        write_document(evaluation, output)
    if as_json:
        print_json(evaluation.to_document())
    else:
        typer.echo(render(evaluation))


def _keep(trained: Trained, evaluation: "Evaluation") -> None:
    """Leave the result beside the checkpoints, where dashboards find it; a store that takes nothing is no failure."""
    from graphbed.storage.evaluation_file import write_evaluation

    try:
        write_evaluation(trained.store, trained.checkpoint.config.job, evaluation.to_record())
    except (StoreDenied, StoreFull, StoreUnavailable) as error:
        typer.echo(f"graphbed: the result is not kept in the store: {error}", err=True)


def render(evaluation: "Evaluation") -> str:
    """The numbers as a table, and the protocol that made them."""
    header = ("", "MRR", "mean rank", "Hits@1", "Hits@3", "Hits@10", "ranks")
    rows = [
        ("both sides", *_cells(evaluation.both)),
        ("lhs", *_cells(evaluation.lhs)),
        ("rhs", *_cells(evaluation.rhs)),
    ]
    rows += [(relation.relation, *_cells(relation.metrics)) for relation in evaluation.per_relation or ()]
    protocol = evaluation.protocol
    known = f"known edges of {', '.join(protocol.filter_splits)} left out" if protocol.filtered else "raw"
    how = f"among {protocol.candidates} entities of the type, {known}, ties {protocol.ties}"
    return (
        f"{table(header, rows)}\n"
        f"{protocol.edges:,} edges of {protocol.split}, job {protocol.job}, checkpoint {protocol.checkpoint}; "
        f"ranked {how}; {evaluation.seconds:.1f} s"
    )


def write_document(evaluation: "Evaluation", path: Path) -> None:
    """Write numbers and protocol as JSON. Raises InputError if the file cannot be written."""
    import json

    try:
        path.write_text(json.dumps(evaluation.to_document(), indent=1) + "\n")
    except OSError as error:
        raise InputError(what=f"{path} cannot be written: {error.strerror}") from error


def _cells(metrics: "RankMetrics") -> tuple[str, ...]:
    return (
        f"{metrics.mrr:.4f}",
        f"{metrics.mean_rank:.1f}",
        f"{metrics.hits_at_1:.4f}",
        f"{metrics.hits_at_3:.4f}",
        f"{metrics.hits_at_10:.4f}",
        f"{metrics.ranks:,}",
    )
