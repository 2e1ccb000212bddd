"""`graphbed tune`: which settings suit a graph, found by successive halving on a core of it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from graphbed.cli.arguments import AsJson, JobFile
from graphbed.cli.output import print_json, progress_bar, table
from graphbed.config.load import load_job
from graphbed.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphbed.config.job import JobConfig
    from graphbed.tuning.core_graph import CoreGraph
    from graphbed.tuning.space import Setting
    from services.standalone.tuning import Score


def tune(
    job: JobFile,
    out: Annotated[Path, typer.Option("--out", help="Folder of the trials, the scores and best.yaml.")],
    space: Annotated[
        Path | None, typer.Option("--space", help="YAML: key → list of values, or {min, max, scale}.")
    ] = None,
    trials: Annotated[int, typer.Option(min=2, max=1000, help="Settings to begin with.")] = 12,
    epochs: Annotated[int, typer.Option(min=1, help="Of each trial in the first round.")] = 2,
    factor: Annotated[int, typer.Option(min=2, max=10, help="Each round keeps 1/factor, factor times as long.")] = 3,
    core_edges: Annotated[int, typer.Option(min=1, help="Training edges of the core, about.")] = 100_000,
    split: Annotated[str, typer.Option(help="The edges to judge by.")] = "valid",
    trainers: Annotated[int, typer.Option(min=1, max=128, help="Trainer processes.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Decides which settings are drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Try settings of an ingested job on a dense core of its graph; the best are tried for longer. Resumes."""
    from graphbed.tuning.halving import rungs
    from graphbed.tuning.space import DEFAULT_SPACE, load_space
    from services.standalone.tuning import best_of
    from services.standalone.tuning import tune as run_tuning

    config = load_job(job)
    settings = (load_space(space) if space else DEFAULT_SPACE).draw(trials, seed=seed)
    plan = rungs(trials=len(settings), first_epochs=epochs, most_epochs=config.num_epochs, factor=factor)
    with progress_bar() as watch:
        core, scores = run_tuning(
            config,
            settings,
            plan,
            folder=out,
            split=split,
            core_edges=core_edges,
            trainers=trainers,
            environ=dict(os.environ),
            watch=watch,
        )
    best = best_of(scores)
    _write_best(config, best.setting, out / "best.yaml")
    if as_json:
        print_json(_document(core, scores, best, out))
    else:
        typer.echo(_render(core, scores, best, out))


def _write_best(config: "JobConfig", setting: "Setting", path: Path) -> None:
    """The whole job with the best values, its paths made absolute; complete or not there."""
    document: dict[str, Any] = {**config.model_dump(mode="json", exclude_defaults=True), **setting}
    with whole_file(path) as unfinished:
        unfinished.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _document(core: "CoreGraph", scores: "Sequence[Score]", best: "Score", out: Path) -> dict[str, Any]:
    return {
        "core": {"k": core.k, "edges": core.edges, "validation_edges": core.validation_edges},
        "scores": [score.model_dump() for score in scores],
        "best": best.model_dump(),
        "file": str(out / "best.yaml"),
    }


def _render(core: "CoreGraph", scores: "Sequence[Score]", best: "Score", out: Path) -> str:
    """The scores of each round, best first."""
    keys = list(best.setting)
    rows = [
        (
            str(score.rung + 1),
            str(score.epochs),
            *(str(score.setting[key]) for key in keys),
            "failed" if score.mrr is None else f"{score.mrr:.4f}",
            f"{score.train_seconds:.1f}",
        )
        for score in sorted(scores, key=lambda score: (score.rung, -(score.mrr or 0.0), score.trial))
    ]
    whole = "the whole graph" if core.k == 0 else f"the {core.k}-core"
    return (
        f"{table(('round', 'epochs', *keys, 'MRR', 'seconds'), rows)}\n"
        f"filtered MRR on {whole}: {core.edges:,} edges trained, {core.validation_edges:,} ranked; "
        f"the best settings are in {out / 'best.yaml'}"
    )
