"""`graphbed quickstart`: ingest, train, evaluate and query the shipped FB15k-237, in one go."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from graphbed.cli.output import print_json


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the store, the embeddings and the results.")] = Path(
        "runs/quickstart"
    ),
    trainers: Annotated[int, typer.Option(min=1, max=2, help="Trainer processes.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json instead of tables.")] = False,
) -> None:
    """Train a real knowledge graph on this machine with the real services, then evaluate and query it."""
    from graphbed.cli.demonstration import demonstrate

    result = demonstrate(out, trainers=trainers, console=Console(stderr=True))
    if as_json:
        print_json(result)
    else:
        _show(result, out)


def _show(result: dict[str, Any], out: Path) -> None:
    console = Console()
    table = Table(title="filtered test ranks among all entities, both sides, ties: mean")
    for name in ("side", "MRR", "Hits@1", "Hits@3", "Hits@10", "mean rank"):
        table.add_column(name, justify="left" if name == "side" else "right")
    for side, metrics in result["sides"].items():
        values = (metrics[name] for name in ("mrr", "hits_at_1", "hits_at_3", "hits_at_10"))
        table.add_row(side, *(f"{value:.3f}" for value in values), f"{metrics['mean_rank']:.0f}")
    console.print(table)
    for entry in result["neighbors"]:
        near = ", ".join(other["name"] for other in entry["neighbors"])
        console.print(
            f"[bold]{entry['entity']}[/bold]: {near}  "
            f"({entry['akin']} of {len(entry['neighbors'])} share a side of a relation with it)"
        )
    console.print(
        f"trained in {result['train_seconds']} s, {result['total_seconds']} s in all; "
        f"embeddings, training.png and result.json are in {out}"
    )
