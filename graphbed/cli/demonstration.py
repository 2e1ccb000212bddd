"""The demonstration behind `graphbed quickstart`: a real graph from text files to neighbours."""

import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from graphbed.cli.kinship import akin
from graphbed.cli.picture import draw_run
from graphbed.cli.train import train_with_progress
from graphbed.clock import SystemClock
from graphbed.config.job import JobConfig
from graphbed.config.load import load_job
from graphbed.datasets.catalog import dataset_path, readable_names
from graphbed.errors import GraphbedError
from graphbed.evaluation.edges import load_edges
from graphbed.evaluation.evaluate import evaluate
from graphbed.evaluation.names import EntityNames
from graphbed.evaluation.neighbors import nearest
from graphbed.evaluation.scoring import TrainedModel
from graphbed.export.export import export
from graphbed.ingest.run import ingest
from graphbed.model.checkpoint import Checkpoint
from graphbed.model.warm import warm_up
from graphbed.storage.address import open_store
from graphbed.storage.condemned import condemned_sequences
from graphbed.storage.manifest import Manifest, manifest_sequences, read_manifest
from graphbed.storage.objects import ObjectStore
from graphbed.whole_file import whole_file

DATASET = "fb15k-237"
ENTITY_TYPE = "entity"
FAMOUS = ("The Beatles", "Johnny Depp", "France")
NEIGHBORS = 10
MIN_AKIN = 7
PICTURE_POINTS = 4


class StrangeNeighbors(GraphbedError):
    """Only {akin} of {neighbors} neighbours of {entity} share a side of a relation with it; the training went wrong."""


def demonstrate(out: Path, *, trainers: int, console: Console) -> dict[str, Any]:
    """Do all of it in `out`, telling the steps on `console`; return what result.json holds.

    Raises what ingest, training and evaluation raise; run again, it resumes.
    """
    started = time.monotonic()
    config = load_job(dataset_path(DATASET) / "job.yaml").model_copy(update={"store": str(out / "store")})
    store = open_store(config.store, os.environ)

    console.print("FB15k-237: 14,541 entities, 237 relations, 272,115 training edges")
    ingest(config, store, lambda *_: None)
    console.print("compiling the training kernel, unless it is cached")
    began = time.monotonic()
    compile_seconds = warm_up(config)
    # Compiled at set-up or by an earlier run: it counts all the same.
    earlier_seconds = max(compile_seconds - (time.monotonic() - began), 0.0)
    console.print(f"training in 4 partitions with {trainers} trainers; Ctrl-C and run again to resume")
    training = train_with_progress(config, trainers=trainers, console=console)

    console.print("evaluating")
    checkpoint = Checkpoint.read(store, config.job)
    test = evaluate(store, checkpoint, "test", filtered=True, per_relation=False, clock=SystemClock())
    curve = [(epoch, _validation_mrr(store, config, manifest)) for epoch, manifest in epoch_ends(store, config)]
    loss = [(epoch.epoch + 1, epoch.loss / epoch.edges) for epoch in training.manifest.epochs]
    draw_run(loss, curve, title="FB15k-237, 4 partitions", path=out / "training.png")
    neighbors = _neighbors_of_the_famous(store, checkpoint)
    shutil.rmtree(out / "embeddings", ignore_errors=True)
    export(store, checkpoint, "npy", out / "embeddings")

    result = {
        "mrr": test.both.mrr,
        "hits_at_10": test.both.hits_at_10,
        "train_seconds": round(training.seconds, 1),
        "total_seconds": round(time.monotonic() - started + earlier_seconds, 1),
        "compile_seconds": round(compile_seconds, 1),
        "resumed": training.resumed,
        "protocol": asdict(test.protocol),
        "sides": {"lhs": asdict(test.lhs), "rhs": asdict(test.rhs), "both": asdict(test.both)},
        "loss_per_edge_by_epoch": loss,
        "validation_mrr_by_epoch": curve,
        "neighbors": neighbors,
    }
    if training.edges == 0:
        result |= _earlier_times(out / "result.json")
    _write(out / "result.json", result)
    _require_kinship(neighbors)
    return result


def _validation_mrr(store: ObjectStore, config: JobConfig, manifest: Manifest) -> float:
    checkpoint = Checkpoint.read(store, config.job, manifest)
    return evaluate(store, checkpoint, "valid", filtered=True, per_relation=False, clock=SystemClock()).both.mrr


def _earlier_times(path: Path) -> dict[str, Any]:
    """The times of the run that trained the job, if its result is still there: this one found it completed."""
    if not path.exists():
        return {}
    earlier = json.loads(path.read_text())
    return {name: earlier[name] for name in ("train_seconds", "total_seconds", "compile_seconds") if name in earlier}


def _require_kinship(neighbors: list[dict[str, Any]]) -> None:
    """Raise StrangeNeighbors if too few neighbours have to do with their entity: the embeddings would be worthless."""
    for entry in neighbors:
        if entry["akin"] < MIN_AKIN:
            raise StrangeNeighbors(entity=entry["entity"], akin=entry["akin"], neighbors=NEIGHBORS)


def epoch_ends(store: ObjectStore, config: JobConfig) -> list[tuple[int, Manifest]]:
    """About PICTURE_POINTS of (epochs completed, the first manifest that says so and is kept), always with the last."""
    ends: dict[int, Manifest] = {}
    condemned = condemned_sequences(store, config.job)
    for sequence in sorted({*manifest_sequences(store, config.job)} - condemned):
        manifest, _ = read_manifest(store, config.job, sequence)
        ends.setdefault(manifest.completed_epochs, manifest)
    ends.pop(0, None)
    step = max(config.num_epochs // PICTURE_POINTS, 1)
    return [(epoch, end) for epoch, end in sorted(ends.items()) if epoch % step == 0 or epoch in (1, config.num_epochs)]


def _neighbors_of_the_famous(store: ObjectStore, checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """For each of FAMOUS its nearest entities by readable name, and how many of them are akin to it."""
    model = TrainedModel.from_checkpoint(checkpoint)
    names = EntityNames.load(store, checkpoint.schema)
    readable = readable_names(DATASET)
    by_readable = {text: entity for entity, text in readable.items()}
    edges = load_edges(store, checkpoint.schema, ["train"])
    found = []
    for famous in FAMOUS:
        kind, entity = names.find(by_readable[famous], ENTITY_TYPE)
        near = nearest(model, kind, entity, NEIGHBORS)
        found.append(
            {
                "entity": famous,
                "neighbors": [
                    {"name": readable[names.by_type[kind][other]], "cosine": round(cosine, 4)} for other, cosine in near
                ],
                "akin": akin(edges, entity, [other for other, _ in near]),
            }
        )
    return found


def _write(path: Path, document: dict[str, Any]) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text(json.dumps(document, indent=1) + "\n")
