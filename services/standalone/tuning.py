"""Tuning a job: trials of successive halving on a core of its graph, each a standalone run that resumes."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from graphbed.clock import SystemClock
from graphbed.config.job import JobConfig
from graphbed.errors import InputError
from graphbed.evaluation.evaluate import evaluate
from graphbed.ingest.run import ingest
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.address import open_store
from graphbed.storage.graph_document import read_graph
from graphbed.storage.objects import ObjectStore
from graphbed.tuning.core_graph import CoreGraph, write_core
from graphbed.tuning.halving import Rung, survivors
from graphbed.tuning.space import Setting, with_setting
from graphbed.whole_file import whole_file
from services.standalone.run import train
from services.standalone.trainers import TrainersFailed

Watch = Callable[[str, int, int], None]
"""Told what is being done, how many runs are done, and how many there are."""


class Score(BaseModel):
    """What one trial came to at the end of one rung."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: int
    setting: dict[str, float | int | bool | str]
    rung: int
    epochs: int
    mrr: float | None
    """Filtered validation MRR on the core; None: training failed."""
    train_seconds: float
    """Of this rung alone."""
    failure: str = ""
    """Why training failed."""


class Record(BaseModel):
    """The file that a tuning resumes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    """SHA-256 of the job, the trials and the rungs: scores of another question mean nothing here."""
    scores: tuple[Score, ...] = ()


def tune(
    config: JobConfig,
    settings: Sequence[Setting],
    plan: Sequence[Rung],
    *,
    folder: Path,
    split: str,
    core_edges: int,
    trainers: int,
    environ: Mapping[str, str],
    watch: Watch,
) -> tuple[CoreGraph, list[Score]]:
    """Run the trials of `plan` in `folder` and return all scores in the order they were found; run again, it resumes.

    The score is the filtered MRR of `split` within the core. Raises BadConfig if a trial makes no valid job, before
    anything is trained; InputError if `folder` holds another tuning; and what reading the graph and training raise.
    """
    jobs = [with_setting(config, setting) for setting in settings]
    store = open_store(config.store, environ)
    schema = read_graph(store, config.graph)
    record = _open(folder / "tuning.json", _question(config, settings, plan, split, core_edges))
    core = write_core(config, store, schema, folder / "core", split=split, most_edges=core_edges)
    trial_jobs = [_trial_job(job, core, folder, trial=trial) for trial, job in enumerate(jobs)]
    trial_store = open_store(trial_jobs[0].store, environ)
    ingest(trial_jobs[0], trial_store, lambda *_: None)
    total, done = sum(rung.trials for rung in plan), 0
    chosen = list(range(len(settings)))
    for place, rung in enumerate(plan):
        found: dict[int, float] = {}
        for trial in chosen:
            watch(f"round {place + 1} of {len(plan)}, {rung.epochs} epochs", done, total)
            score = next((s for s in record.scores if (s.trial, s.rung) == (trial, place)), None)
            if score is None:
                job = trial_jobs[trial].model_copy(update={"num_epochs": rung.epochs})
                mrr, seconds, failure = _run(job, trial_store, split, trainers=trainers, environ=environ)
                score = Score(
                    trial=trial,
                    setting=dict(settings[trial]),
                    rung=place,
                    epochs=rung.epochs,
                    mrr=mrr,
                    train_seconds=seconds,
                    failure=failure,
                )
                record = record.model_copy(update={"scores": (*record.scores, score)})
                _write(folder / "tuning.json", record)
            if score.mrr is not None:
                found[trial] = score.mrr
            done += 1
        if not found:
            raise TrainersFailed(what=f"every trial failed, the last one because: {record.scores[-1].failure}")
        chosen = survivors(found, plan[place + 1].trials if place + 1 < len(plan) else 1)
    watch("done", total, total)
    return core, list(record.scores)


def best_of(scores: Sequence[Score]) -> Score:
    """The score that decided: the highest of the last rung."""
    last = max(score.rung for score in scores)
    finite = [score for score in scores if score.rung == last and score.mrr is not None]
    return max(finite, key=lambda score: (score.mrr or 0.0, -score.trial))


def _trial_job(job: JobConfig, core: CoreGraph, folder: Path, *, trial: int) -> JobConfig:
    """The job of one trial: uncut, on the core, in the store of the tuning. Each rung continues it to more epochs."""
    entities = {name: entity.model_copy(update={"num_partitions": 1}) for name, entity in job.entities.items()}
    return job.model_copy(
        update={
            "job": f"trial-{trial}",
            "graph": "core",
            "store": str(folder / "store"),
            "edges": core.files,
            "entities": entities,
            "num_groups": None,
        }
    )


def _run(
    job: JobConfig, store: ObjectStore, split: str, *, trainers: int, environ: Mapping[str, str]
) -> tuple[float | None, float, str]:
    """Validation MRR, seconds of training, and why it failed; a learning rate that is too high is such an answer."""
    try:
        training = train(job, trainers=trainers, environ=environ, watch=lambda _: None)
    except TrainersFailed as error:
        return None, 0.0, str(error)
    checkpoint = Checkpoint.read(store, job.job)
    result = evaluate(store, checkpoint, split, filtered=True, per_relation=False, clock=SystemClock())
    return result.both.mrr, round(training.seconds, 2), ""


def _question(config: JobConfig, settings: Sequence[Setting], plan: Sequence[Rung], split: str, core_edges: int) -> str:
    parts = [
        config.model_dump(mode="json", exclude={"trainer", "lease", "checkpoint"}),
        [dict(setting) for setting in settings],
        [(rung.trials, rung.epochs) for rung in plan],
        split,
        core_edges,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _open(path: Path, question: str) -> Record:
    """The scores that an earlier run left, if it asked the same. Raises InputError otherwise."""
    if not path.exists():
        return Record(question=question)
    try:
        record = Record.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(what=f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if record.question != question:
        raise InputError(
            what=f"{path.parent} holds the tuning of another job, space or schedule; name another folder with --out"
        )
    return record


def _write(path: Path, record: Record) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text(record.model_dump_json(indent=1) + "\n")
