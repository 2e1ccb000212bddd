"""`graphbed checkpoints`: what fsck says of damage, and going back on this machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from graphbed.cli import __main__ as cli
from graphbed.config.load import dump_job
from graphbed.storage import layout
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.manifest import Manifest, require_newest
from services.lockserver.file_store import FileStateStore
from services.lockserver.state import Status
from services.standalone.cluster import state_folder
from services.standalone.lock import FolderLock
from tests.unit.lockserver.cluster import WITH_OPERATOR, Cluster
from tests.unit.lockserver.examples import square_schema


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A standalone job with three checkpoints."""
    url = str(tmp_path / "store")
    cluster = Cluster(DirectoryStore(url), state=FileStateStore(state_folder(url)))
    config = cluster.submit(square_schema(4), relations=WITH_OPERATOR, store=url)
    for _ in range(2):
        cluster.work(3)
        cluster.manifests.write("j")
    (tmp_path / "job.yaml").write_text(dump_job(config))
    return cluster


@pytest.fixture
def job(cluster: Cluster, tmp_path: Path) -> str:
    return str(tmp_path / "job.yaml")


def newest(cluster: Cluster) -> Manifest:
    return require_newest(cluster.store, "j")


def fsck(capsys: pytest.CaptureFixture[str], job: str, *options: str) -> tuple[int, dict[str, Any]]:
    code = cli.run(["checkpoints", "fsck", job, "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def damage_key(cluster: Cluster, name: str) -> str:
    """Damage one object in one way; return its key."""
    version = newest(cluster).pointers[0].version
    parent = layout.manifest("j", 2)
    if name == "missing":
        cluster.store.delete(version.key)
    elif name == "cut":
        cluster.store.put(version.key, b"x")
    elif name == "manifest truncated":
        cluster.store.put(parent, cluster.store.get(parent)[:100])
    elif name == "manifest missing":
        cluster.store.delete(parent)
    elif name == "manifest replaced":
        cluster.store.put(parent, cluster.store.get(parent) + b"\n")
    elif name == "manifest of a later version":
        cluster.store.put(parent, cluster.store.get(parent).replace(b'"format": 2', b'"format": 9'))
    else:
        cluster.store.put(layout.generation("j", 1), b"{}")
        return layout.generation("j", 1)
    return parent if name.startswith("manifest") else version.key


@pytest.mark.parametrize(
    ("name", "what", "newest_whole"),
    [
        ("missing", "is missing", 2),
        ("cut", "has 1 bytes, not 100", 2),
        ("manifest truncated", "cannot be understood", 3),
        ("manifest missing", "is missing", 3),
        ("manifest replaced", "is not the one that 3 follows", 3),
        ("manifest of a later version", "is of a later version of Graphbed", 3),
        ("generation", "cannot be understood", 3),
    ],
)
def test_damage_is_told_with_its_object(
    cluster: Cluster, job: str, capsys: pytest.CaptureFixture[str], name: str, what: str, newest_whole: int
) -> None:
    assert fsck(capsys, job)[0] == 0
    key = damage_key(cluster, name)
    code, found = fsck(capsys, job)
    assert code == 1
    assert [(damage["key"], damage["what"]) for damage in found["damages"]] == [(key, what)]
    assert found["newest_whole"] == newest_whole
    assert cli.run(["checkpoints", "fsck", job]) == 1
    printed = capsys.readouterr()
    assert f"{key} {what}" in printed.out
    assert printed.err == ""


def test_other_bytes_of_the_same_size_are_found_by_reading_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = str(tmp_path / "store")
    store = DirectoryStore(url)
    cluster = Cluster(store, state=FileStateStore(state_folder(url)))
    config = cluster.submit(square_schema(1), store=url)
    job = tmp_path / "job.yaml"
    job.write_text(dump_job(config))
    cluster.work(1)
    cluster.manifests.write("j")
    key = newest(cluster).pointers[0].version.key
    assert fsck(capsys, str(job))[0] == 0
    code, found = fsck(capsys, str(job), "--deep")
    assert (code, [damage["key"] for damage in found["damages"]]) == (1, [key])


def test_a_restore_on_this_machine_goes_back_and_the_next_run_goes_on_from_there(
    cluster: Cluster, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {pointer.partition: pointer.version for pointer in cluster_manifest(cluster, 2).pointers}
    assert cli.run(["checkpoints", "restore", job, "--sequence", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"job": "j", "generation": 2, "checkpoint": 4, "follows": 2}
    assert {pointer.partition: pointer.version for pointer in newest(cluster).pointers} == told
    again = Cluster(cluster.store, state=cluster.state)
    assert {place: receipt.key for place, receipt in again.jobs.current("j").pointers.items()} == {
        place: version.key for place, version in told.items()
    }
    assert fsck(capsys, job)[0] == 0


def cluster_manifest(cluster: Cluster, sequence: int) -> Manifest:
    return Manifest.model_validate_json(cluster.store.get(layout.manifest("j", sequence)))


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a refused command says: one line, exit code 2, nothing on stdout."""
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_what_cannot_be_restored_is_told_in_one_line(
    cluster: Cluster, job: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restore = ("checkpoints", "restore")
    assert "sequence=9" in refusal(capsys, *restore, job, "--sequence", "9")
    assert "Missing argument 'JOB'" in refusal(capsys, *restore, "--sequence", "2")
    with FolderLock(state_folder(str(tmp_path / "store"))):
        assert "another" in refusal(capsys, *restore, job, "--sequence", "2")
    cluster.store.delete(newest(cluster).pointers[0].version.key)
    for sequence in (1, 2):
        cluster.store.put(layout.manifest("j", sequence), b"{")
    assert "fsck" in refusal(capsys, *restore, job, "--sequence", "3")


def test_a_restore_of_a_damaged_checkpoint_says_which_one_took_its_place(
    cluster: Cluster, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.store.put(layout.manifest("j", 3), b"{")
    assert cli.run(["checkpoints", "restore", job, "--sequence", "3"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "job j goes on from checkpoint 2, as checkpoint 4\n"
    assert "checkpoint 3 is not whole" in captured.err
    assert newest(cluster).parent == 2


def collected(capsys: pytest.CaptureFixture[str], job: str, *options: str) -> dict[str, Any]:
    assert cli.run(["checkpoints", "gc", job, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_garbage_on_this_machine_is_told_of_and_collected(
    cluster: Cluster, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(4):
        cluster.manifests.write("j")
    objects = set(cluster.store.list(layout.job("j")))
    told = collected(capsys, job, "--dry-run")
    assert set(cluster.store.list(layout.job("j"))) == objects
    assert told["objects"] > 0 and told["condemned"] == [1, 2, 3, 4]
    assert [kept["because"] for kept in told["kept"]] == [["last"], ["last"], ["newest"]]
    done = collected(capsys, job)
    assert (done["objects"], done["bytes"], done["condemned"]) == (told["objects"], told["bytes"], told["condemned"])
    gone = objects - set(cluster.store.list(layout.job("j")))
    assert len(gone) == done["objects"]
    assert collected(capsys, job)["objects"] == 0
    assert cli.run(["checkpoints", "gc", job, "--dry-run"]) == 0
    assert "0 objects, 0 bytes would be deleted" in capsys.readouterr().out
    assert fsck(capsys, job)[0] == 0


def test_a_job_of_a_cluster_is_meant_by_its_name_and_its_store_comes_from_the_environment(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHBED_STORE", str(tmp_path / "store"))
    assert fsck(capsys, "j")[0] == 0
    assert cli.run(["checkpoints", "pin", "j", "--name", "good"]) == 0
    assert cli.run(["checkpoints", "list", "j"]) == 0
    assert "pin good" in capsys.readouterr().out
    assert cli.run(["checkpoints", "unpin", "j", "good"]) == 0
    capsys.readouterr()
    assert "no job nobody" in refusal(capsys, "checkpoints", "list", "nobody")
    monkeypatch.delenv("GRAPHBED_STORE")
    assert "127.0.0.1:1 does not answer" in refusal(capsys, "checkpoints", "list", "j", "--lockserver", "127.0.0.1:1")


def test_a_job_on_this_machine_is_deleted_when_nobody_trains_or_needs_it_and_it_is_meant(
    cluster: Cluster, job: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "needs --yes" in refusal(capsys, "jobs", "delete", job)
    with FolderLock(state_folder(str(tmp_path / "store"))):
        assert "another" in refusal(capsys, "jobs", "delete", job, "--yes")
    cluster.store.put(layout.pin("j", "good"), b'{"sequence": 1}')
    assert "pin good" in refusal(capsys, "jobs", "delete", job, "--yes")
    assert cluster.jobs.current("j").header.status is Status.RUNNING
    cluster.store.delete(layout.pin("j", "good"))
    assert cli.run(["jobs", "delete", job, "--yes", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["job"], document["deleted"]) == ("j", True) and document["bytes"] > 0
    assert cluster.store.list(layout.partitions("j")) == [] and cluster.state.jobs() == []
    assert not cluster.store.exists(layout.job_document("j"))
    assert "no job j" in refusal(capsys, "checkpoints", "restore", job, "--sequence", "1")
