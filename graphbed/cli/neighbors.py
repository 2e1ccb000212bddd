"""`graphbed neighbors`: what lies near an entity, or completes an edge of it."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from graphbed.cli.arguments import AsJson, JobFile
from graphbed.cli.output import print_json, table
from graphbed.cli.trained import open_trained
from graphbed.errors import InputError


class SoughtSide(StrEnum):
    """The side of an edge that is missing."""

    LHS = "lhs"
    RHS = "rhs"


def neighbors(
    job: JobFile,
    entity: Annotated[str, typer.Option(help="Name of the entity, as in the data.")],
    k: Annotated[int, typer.Option("--k", min=1, max=100_000, help="How many.")] = 10,
    relation: Annotated[str | None, typer.Option(help="Complete edges of this relation instead.")] = None,
    side: Annotated[SoughtSide, typer.Option(help="With --relation: the side to find.")] = SoughtSide.RHS,
    entity_type: Annotated[
        str | None, typer.Option("--type", help="The entity's type, where several types have the name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The nearest entities by cosine of the raw embeddings; with --relation, those that score highest with it."""
    from graphbed.config.formulas import score_formulas
    from graphbed.evaluation.names import EntityNames
    from graphbed.evaluation.neighbors import completions, nearest
    from graphbed.evaluation.scoring import TrainedModel, other

    with open_trained(job, os.environ) as trained:
        checkpoint = trained.checkpoint
        names = EntityNames.load(trained.store, checkpoint.schema)
        model = TrainedModel.from_checkpoint(checkpoint)
    if relation is None:
        kind, given = names.find(entity, entity_type)
        found = nearest(model, kind, given, k)
        by = "cosine of the raw embeddings"
    else:
        relations = [entry.name for entry in checkpoint.schema.relations]
        if relation not in relations:
            raise InputError(what=f"The graph {checkpoint.schema.name} has no relation {relation!r}.")
        number = relations.index(relation)
        _, given = names.find(entity, model.entity_type(number, other(side.value)))
        kind = model.entity_type(number, side.value)
        found = completions(model, number, side.value, given, k)
        by = score_formulas(checkpoint.config)[model.entry(number).name][side]
    rows = [(names.by_type[kind][candidate], score) for candidate, score in found]
    if as_json:
        listed = [{"name": name, "score": score} for name, score in rows]
        print_json({"entity": entity, "relation": relation, "type": kind, "by": by, "neighbors": listed})
        return
    typer.echo(f"{by}:")
    typer.echo(table(("entity", "score"), [(name, f"{score:.4f}") for name, score in rows]))
