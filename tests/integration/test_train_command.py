"""`graphbed train` as a user runs it: interrupted, run again, run twice at once."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from graphbed.cli import __main__ as cli
from graphbed.cli.demonstration import epoch_ends
from graphbed.config.load import dump_job
from graphbed.storage import layout
from graphbed.storage.address import open_store
from graphbed.storage.chain import commit_log, missing_object, named_objects
from graphbed.storage.manifest import manifest_sequences, newest_manifest, read_manifest
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url
from tests.fixtures.history import check_history
from tests.fixtures.processes import clean_environment

pytestmark = pytest.mark.timeout(240)


def start(job_file: Path, *options: str) -> subprocess.Popen[str]:
    clean = clean_environment()
    return subprocess.Popen(
        [sys.executable, "-m", "graphbed.cli", "train", str(job_file), "--json", *options],
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupted_run_keeps_its_commits_and_the_next_one_goes_on(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), num_epochs=60, num_uniform_negs=800, dimension=64)
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    job_file = tmp_path / "job.yaml"
    job_file.write_text(dump_job(config))

    first = start(job_file, "--trainers", "2")
    deadline = time.monotonic() + 90
    while (newest := newest_manifest(store, config.job)) is None or not newest[0].epochs:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = start(job_file)
    _, complaint = second.communicate(timeout=60)
    assert second.returncode == 2
    assert len(complaint.strip().splitlines()) == 1
    assert "another `graphbed train`" in complaint

    interrupted_at = time.monotonic()
    first.send_signal(signal.SIGINT)
    _, words = first.communicate(timeout=90)
    assert time.monotonic() - interrupted_at < 60
    assert first.returncode == 130
    assert "Traceback" not in words
    kept = newest_manifest(store, config.job)
    assert kept is not None
    assert kept[0].status == "running"
    done_before = sum(epoch.leases for epoch in kept[0].epochs)
    assert done_before > 0

    again = start(job_file, "--trainers", "2")
    output, words = again.communicate(timeout=200)
    assert again.returncode == 0, words
    result = json.loads(output)
    assert result["resumed"] is True
    assert result["status"] == "completed"
    commits = check_history(store, config)
    assert len(commits) > done_before


def test_the_store_stays_bounded_however_many_epochs_are_trained(tmp_path: Path, capsys) -> None:
    checkpoint = {"interval_seconds": 0.5, "keep_last": 2}
    config = codex_job(store_url(tmp_path), num_epochs=40, checkpoint=checkpoint)
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    job_file = tmp_path / "job.yaml"
    job_file.write_text(dump_job(config))
    run = start(job_file)
    most = 0
    while run.poll() is None:
        most = max(most, len(store.list(layout.partitions(config.job))))
        time.sleep(0.2)
    assert run.returncode == 0, run.communicate()
    # Six leases an epoch replace two of the four partitions each: 480 versions were written. A version goes when two
    # manifests do without it, and there is one at each epoch's end: some epochs' versions, and those of a busy moment.
    written = sum(len(commit.partitions) for commit in commit_log(store, config.job))
    assert written == 40 * 6 * 2
    assert most <= 10 * 6 * 2
    assert cli.run(["checkpoints", "gc", str(job_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["waiting_bytes"] == 0
    named = {
        version.key
        for sequence in manifest_sequences(store, config.job)[-2:]
        for version in named_objects(read_manifest(store, config.job, sequence)[0])
    }
    assert {*store.list(layout.partitions(config.job)), *store.list(layout.parameters(config.job))} == named
    ends = epoch_ends(store, config)
    assert ends[-1][0] == 40
    assert [missing_object(store, named_objects(manifest)) for _, manifest in ends] == [""] * len(ends)


def test_a_finished_job_trains_on_when_it_is_given_more_epochs(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), num_epochs=1)
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    job_file = tmp_path / "job.yaml"
    for epochs in (1, 2):
        longer = config.model_copy(update={"num_epochs": epochs})
        job_file.write_text(dump_job(longer))
        run = start(job_file)
        _, words = run.communicate(timeout=120)
        assert run.returncode == 0, words
        check_history(store, longer)


def test_numbers_that_run_away_end_the_run_and_are_never_committed(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), lr=1e30)
    store = open_store(config.store, {})
    ingest_quietly(config, store)
    job_file = tmp_path / "job.yaml"
    job_file.write_text(dump_job(config))
    run = start(job_file)
    _, words = run.communicate(timeout=120)
    assert run.returncode == 1
    assert len(words.strip().splitlines()) == 1
    assert "NaN or infinite" in words
    newest = newest_manifest(store, config.job)
    assert newest is not None
    assert newest[0].pointers == ()
    assert not store.list(f"jobs/{config.job}/partitions/")


def test_a_run_works_on_its_own_job_alone(tmp_path: Path) -> None:
    mine = codex_job(store_url(tmp_path), job="mine", num_epochs=1)
    other = codex_job(store_url(tmp_path), job="another", num_epochs=40)
    store = open_store(mine.store, {})
    ingest_quietly(mine, store)
    job_file = tmp_path / "job.yaml"
    job_file.write_text(dump_job(other))
    interrupted = start(job_file)
    deadline = time.monotonic() + 90
    while (newest := newest_manifest(store, "another")) is None or not newest[0].epochs:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    interrupted.send_signal(signal.SIGTERM)
    interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    before = newest_manifest(store, "another")
    job_file.write_text(dump_job(mine))
    run = start(job_file)
    _, words = run.communicate(timeout=120)
    assert run.returncode == 0, words
    check_history(store, mine)
    assert newest_manifest(store, "another") == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_asked_for_where_there_is_none_is_refused_before_any_training(tmp_path: Path) -> None:
    config = codex_job(store_url(tmp_path), trainer={"device": "cuda"})
    ingest_quietly(config, open_store(config.store, {}))
    job_file = tmp_path / "job.yaml"
    job_file.write_text(dump_job(config))
    process = start(job_file)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 2 and "the device cuda cannot be used on this machine" in words
    assert len(words.strip().splitlines()) == 1 and newest_manifest(open_store(config.store, {}), config.job) is None
